/** The five acts on the screen. Exit 0 only if every one came out as the tutorial says. */
import 'reflect-metadata' // @peculiar/x509 needs it first, and a bundle keeps only the order of this file
import { Command, Option } from 'commander'
import { type Outcome, runActs } from './run.ts'
import type { Target } from './target.ts'
import { composeTarget } from './targets/compose.ts'
import { embeddedTarget } from './targets/embedded.ts'
import { gcloudTarget } from './targets/gcloud.ts'

const TARGETS: Readonly<Record<string, () => Promise<Target>>> = {
  embedded: embeddedTarget,
  compose: composeTarget,
  gcloud: gcloudTarget,
}

const options = new Command('walkthrough')
  .description('The tutorial: one request goes from 403 to 200, for reasons of Cloud Run.')
  .addOption(
    new Option('--target <name>', 'what the acts run against')
      .choices(Object.keys(TARGETS))
      .default('embedded'),
  )
  .option('--json', 'one JSON object per act')
  .parse()
  .opts<{ target: string; json?: true }>()

process.exitCode = await main(options.target, options.json === true)

async function main(name: string, json: boolean): Promise<number> {
  let target: Target | undefined
  try {
    target = await TARGETS[name]?.()
    if (!target) throw new Error(`there is no target ${name}`)
    if (!json) console.log(`Service-to-service authentication on Cloud Run, in five acts (${target.name})`)
    const outcomes: Outcome[] = []
    for await (const outcome of runActs(target)) {
      outcomes.push(outcome)
      console.log(json ? JSON.stringify({ ...outcome, done: undefined }) : describe(outcome))
    }
    const good = outcomes.filter(({ ok }) => ok).length
    if (!json)
      console.log(
        `\n${outcomes.map(({ status }) => status).join(', ')}: ${good} of ${outcomes.length} acts as the tutorial says.`,
      )
    return good === outcomes.length ? 0 : 1
  } catch (error) {
    console.error(`walkthrough: ${error instanceof Error ? error.message : String(error)}`)
    return 1
  } finally {
    await target?.close()
  }
}

function describe({ act, title, done, status, body, expected, ok, why }: Outcome): string {
  const lines = [
    `\nAct ${act}. ${title}`,
    ...done.map((line) => `  did     ${line}`),
    `  GET /   ${status}${ok ? '' : `   EXPECTED ${expected.status}`}`,
    ...body
      .trimEnd()
      .split('\n')
      .map((line, index) => `  ${index === 0 ? 'body ' : '     '}   ${line}`),
    `  why     ${why}`,
  ]
  if (!ok && body !== expected.body) lines.push(`  EXPECTED BODY ${JSON.stringify(expected.body)}`)
  return lines.join('\n')
}

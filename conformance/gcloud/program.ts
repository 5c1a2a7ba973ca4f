/**
 * gcloud: every step with its documented commands only; the tokens it prints are sent with fetch.
 *
 * Prints a JSON line a step. After `call-refused` it waits for a line on standard input: the grant.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Task } from '../steps.ts'

const task = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as Task
const configuration = process.env.CLOUDSDK_CONFIG ?? ''

function print(step: string, ok: boolean, detail: string): void {
  process.stdout.write(`${JSON.stringify({ step, ok, detail })}\n`)
}

/** `attempt` answers with what came. */
async function step(
  id: string,
  expected: string | number,
  attempt: () => Promise<string | number>,
): Promise<void> {
  try {
    const actual = await attempt()
    print(id, actual === expected, String(actual))
  } catch (error) {
    print(id, false, error instanceof Error ? error.message : String(error))
  }
}

/** One command; what it prints on standard output. `as` names a configuration of its own, with other credentials. */
async function gcloud(command: string, as = ''): Promise<string> {
  const env = { ...process.env, CLOUDSDK_CONFIG: join(configuration, as), CLOUDSDK_CORE_DISABLE_PROMPTS: '1' }
  const child = Bun.spawn(['gcloud', ...command.split(' ')], {
    env,
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(err.trim())
  return out.trim()
}

async function call(token: string): Promise<number> {
  return (await fetch(task.service, { headers: { authorization: `Bearer ${token}` } })).status
}

const describe = `projects describe ${task.projectId} --format=value(projectId)`
const asImpersonated = `--impersonate-service-account=${task.impersonate}`
const printIdToken = `auth print-identity-token --audiences=${task.service}`

const versions = JSON.parse(await gcloud('version --format=json')) as Record<string, string>
print('version', true, `Google Cloud SDK ${versions['Google Cloud SDK']}`)
await step('metadata', task.email, () => gcloud('config get-value account'))
await step('project-id', task.projectId, () => gcloud('config get-value project'))
await step('email', task.email, () => gcloud('auth list --format=value(account)'))
await step('access-token', task.projectId, () => gcloud(describe))

let token = ''
await step('id-token', 3, async () => {
  token = await gcloud(`${printIdToken} --token-format=full`)
  return token.split('.').length
})
await step('call-refused', 403, () => call(token))
for await (const _granted of console) break
await step('call-granted', 200, () => call(token))
await step('call-serverless', 'Basic bWluZQ==', async () => {
  const headers = { 'x-serverless-authorization': `Bearer ${token}`, authorization: 'Basic bWluZQ==' }
  const seen = (await (await fetch(task.service, { headers })).json()) as { authorization?: string }
  return seen.authorization ?? ''
})

await step('impersonate-access-token', task.projectId, () => gcloud(`${describe} ${asImpersonated}`))
await step('impersonate-id-token', 200, async () =>
  call(await gcloud(`${printIdToken} --include-email ${asImpersonated}`)),
)

const signIn = gcloud(`auth activate-service-account --key-file=${task.keyFile}`, 'key')
await step('key-access-token', task.projectId, () => signIn.then(() => gcloud(describe, 'key')))
await step('key-id-token', 200, () => signIn.then(async () => call(await gcloud(printIdToken, 'key'))))

await step('federation-access-token', task.projectId, async () => {
  await gcloud(`auth login --cred-file=${task.federationAsAccountFile}`, 'federation-as-account')
  return gcloud(describe, 'federation-as-account')
})
await step('federation-id-token', 200, async () => {
  await gcloud(`auth login --cred-file=${task.federationFile}`, 'federation')
  return call(await gcloud(`${printIdToken} --include-email ${asImpersonated}`, 'federation'))
})
process.exit(0)

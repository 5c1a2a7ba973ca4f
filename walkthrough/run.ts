/** Runs the acts against a target, one after the other. */
import { ACTS, type Act } from './acts.ts'
import type { Target } from './target.ts'

/** What one act came to: the object that `--json` prints, and how it was done. */
export interface Outcome {
  readonly act: number
  readonly title: string
  readonly status: number
  readonly body: string
  readonly expected: Act['expected']
  readonly ok: boolean
  readonly why: string
  /** One line a change; not part of the JSON. */
  readonly done: readonly string[]
}

export async function* runActs(target: Target, acts: readonly Act[] = ACTS): AsyncGenerator<Outcome> {
  await target.prepare()
  for (const { act, title, changes, expected } of acts) {
    const done: string[] = []
    for (const change of changes) done.push(await target.apply(change))
    const { status, body } = await target.call('sender', expected)
    const why = await target.why()
    yield {
      act,
      title,
      status,
      body,
      expected,
      ok: status === expected.status && body === expected.body,
      why,
      done,
    }
  }
}

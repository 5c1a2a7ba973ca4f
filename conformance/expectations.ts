/** What a client is expected not to do, and why: a file beside each program. Everything else is expected to pass. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { STEPS, type StepId, WAYS } from './steps.ts'

const reason = z.string().min(1)
/**
 * `fails`: it is tried, and has to fail with an error that says `saying`. `untried`: there is nothing to try. `helped`: it has to pass, but only because the
 * program gets a variable that is not one of this way's, so it does not count.
 */
const exception = z.union([
  z.strictObject({ fails: reason, saying: reason }),
  z.strictObject({ untried: reason }),
  z.strictObject({ helped: reason }),
])
const ids = STEPS.map(({ id }) => id)
const schema = z.strictObject({
  exceptions: z.partialRecord(z.enum(WAYS), z.partialRecord(z.enum(ids), exception)),
  /** Sentences for the page, about what the table does not show. */
  notes: z.array(z.string()).default([]),
})

export type Exception = z.infer<typeof exception>
export type Expectations = z.infer<typeof schema>
export type Exceptions = Readonly<Partial<Record<StepId, Exception>>>

export function readExpectations(folder: string): Expectations {
  return schema.parse(JSON.parse(readFileSync(`${folder}/expectations.json`, 'utf8')))
}

export function reasonOf(exception: Exception): string {
  if ('fails' in exception) return exception.fails
  return 'untried' in exception ? exception.untried : exception.helped
}

import { describe, expect, test } from 'bun:test'
import { ACTS, CALLING_ACCOUNT, type Change } from './acts.ts'
import { type Outcome, runActs } from './run.ts'
import type { Answer, Target } from './target.ts'

/** A target that answers what it is told to, and writes down what it is asked. */
function scripted(answers: readonly Answer[]): Target & { readonly asked: unknown[] } {
  const asked: unknown[] = []
  const left = [...answers]
  return {
    name: 'scripted',
    asked,
    prepare: async () => void asked.push('prepare'),
    apply: async (change) => {
      asked.push(change)
      return change.kind
    },
    call: async (service) => {
      asked.push(service)
      return left.shift() ?? { status: 0, body: '' }
    },
    why: async () => 'because',
    close: async () => {},
  }
}

const truth = ACTS.map(({ expected }): Answer => expected)

async function outcomes(target: Target): Promise<Outcome[]> {
  return Array.fromAsync(runActs(target))
}

describe('the acts', () => {
  test('are the five of the tutorial: 200, 403, 200, 403, 200', () => {
    expect(ACTS.map(({ act, expected }) => [act, expected.status])).toEqual([
      [1, 200],
      [2, 403],
      [3, 200],
      [4, 403],
      [5, 200],
    ])
  })

  test("facts 1.4: a refusal is Google's page after the sender's prefix, 295 bytes of it", () => {
    const prefix = 'Response from receiving service: '
    for (const { expected } of ACTS) {
      expect(expected.body).toStartWith(prefix)
      const rest = expected.body.slice(prefix.length)
      if (expected.status === 200) expect(rest).toBe('Hello from the receiving service!')
      else expect([rest.length, rest[0], rest.at(-1)]).toEqual([295, '\n', '\n'])
    }
  })

  test('change one thing at a time: only the last grants, and it grants the one role that is needed', () => {
    const grants = ACTS.flatMap(({ act, changes }) =>
      changes.filter(({ kind }) => kind === 'grant').map((change) => ({ act, change })),
    )
    expect(grants).toEqual([
      {
        act: 5,
        change: {
          kind: 'grant',
          service: 'receiver',
          role: 'roles/run.invoker',
          serviceAccount: CALLING_ACCOUNT,
        } satisfies Change,
      },
    ])
  })

  test('never redeploy a revision under a name that was there before', () => {
    const suffixes = ACTS.flatMap(({ changes }) =>
      changes.flatMap((change) =>
        change.kind === 'deploy' && change.service === 'sender' ? [change.revisionSuffix] : [],
      ),
    )
    expect(suffixes).toEqual(['no-token', 'id-token', 'own-account'])
  })
})

describe('running them', () => {
  test('prepares once, then makes the changes of each act in their order before it calls', async () => {
    const target = scripted(truth)
    const all = await outcomes(target)
    expect(target.asked).toEqual(['prepare', ...ACTS.flatMap(({ changes }) => [...changes, 'sender'])])
    expect(all.map(({ ok }) => ok)).toEqual([true, true, true, true, true])
    expect(all.map(({ done }) => done)).toEqual(ACTS.map(({ changes }) => changes.map(({ kind }) => kind)))
  })

  test('a target that answers anything else is not ok: another status, or one byte less', async () => {
    const liar = truth.map(({ status, body }, index) =>
      index === 1 ? { status: 200, body } : { status, body: index === 3 ? body.trimEnd() : body },
    )
    expect((await outcomes(scripted(liar))).map(({ ok }) => ok)).toEqual([true, false, true, false, true])
  })

  test('a change that fails ends the story', async () => {
    const target = { ...scripted(truth), apply: () => Promise.reject(new Error('no such image')) }
    await expect(outcomes(target)).rejects.toThrow('no such image')
  })
})

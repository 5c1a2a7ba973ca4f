/**
 * What a test asks of an emulator beside what Google offers: time passing, a fresh start, a token for anybody.
 *
 * Every route takes `Content-Type: application/json` alone: a page in a browser cannot send that to another site unasked.
 */
import type { Context, Hono } from 'hono'
import { z } from 'zod'
import type { RoomEnv } from '../front/request.ts'
import type { Accounts, Read, SigningKeys, Timed } from '../state/parts.ts'
import { mintIdToken } from '../tokens/mint.ts'

export interface Rehearsal {
  /** Lets so many milliseconds pass at once. Resolves when what was due in that time is done. */
  readonly advance: (milliseconds: number) => Promise<void>
  /** Back to where it started: the first contents, the manifests, the real time. */
  readonly reset: () => Promise<void>
}

/** A hundred years, in milliseconds: more is a mistake in the unit. */
const MOST = 100 * 365 * 86_400_000

const clockRequest = z.strictObject({
  advance: z.int('a whole number of milliseconds').min(0, 'a time that passes').max(MOST, 'milliseconds'),
})
const tokenRequest = z.strictObject({
  serviceAccount: z.email('the email of a service account'),
  audience: z.string().min(1, 'the URL of a service'),
})

export function rehearsalRoutes(
  app: Hono<RoomEnv>,
  state: Read<Accounts & SigningKeys & Timed>,
  { advance, reset }: Rehearsal,
): void {
  /** `{"advance": 3600000}` lets an hour pass. */
  app.post('/_emulator/clock', async (c) => {
    const request = await readRequest(c, clockRequest)
    if ('error' in request) return c.json(request, 400)
    await advance(request.value.advance)
    return c.json({ time: state.timestamp() })
  })

  app.post('/_emulator/reset', async (c) => {
    const request = await readRequest(c, z.strictObject({}))
    if ('error' in request) return c.json(request, 400)
    await reset()
    return c.json({})
  })

  /** An ID token as that account's own metadata server would give it, whether or not it runs anywhere. */
  app.post('/_emulator/tokens', async (c) => {
    const request = await readRequest(c, tokenRequest)
    if ('error' in request) return c.json(request, 400)
    const { serviceAccount, audience } = request.value
    const account = state.serviceAccount(serviceAccount)
    if (!account) return c.json({ error: `There is no service account ${serviceAccount}.` }, 404)
    const { token } = await mintIdToken(state.keys, state.clock(), { subject: account, audience })
    return c.json({ token })
  })
}

/** The body of a request: JSON, and said to be. */
export async function readRequest<S extends z.ZodType>(
  c: Context<RoomEnv>,
  schema: S,
): Promise<{ readonly value: z.output<S> } | { readonly error: string }> {
  if (!/^application\/json(?:;|$)/i.test(c.req.header('content-type') ?? ''))
    return { error: 'Content-Type: expected application/json.' }
  const body: unknown = await c.req.json().catch(() => undefined)
  const result = schema.safeParse(body)
  if (result.success) return { value: result.data }
  const [issue] = result.error.issues
  return { error: `${issue?.path.join('.') || 'body'}: ${issue?.message ?? 'not understood'}.` }
}

/**
 * `POST /_emulator/instances {"service": "orders"}`: a program of this machine is to be that service, and gets a listener that
 * knows it. The answer is one line of JSON with the variables that the program is to have, and stays open: the listener is
 * there for as long as the answer is.
 */
import type { Handler } from 'hono'
import { z } from 'zod'
import type { Peer, RoomEnv } from '../front/request.ts'
import type { InstanceConnection } from '../runtime/runtime.ts'
import type { PushOptions } from './push.ts'
import { readRequest } from './rehearsal.ts'

export interface Instances {
  /** Whether this peer could reach the listener. */
  readonly permits: (peer: Peer) => boolean
  readonly connect: (service: string) => Promise<InstanceConnection>
}

/** An empty line so often. Milliseconds. */
const BEAT_TIME = 500
const BEAT = new TextEncoder().encode('\n')

const instanceRequest = z.strictObject({ service: z.string().min(1, 'the name of a service') })

export function createInstances(
  state: Pick<PushOptions['state'], 'services'>,
  { permits, connect }: Instances,
): Handler<RoomEnv> {
  return async (c) => {
    const request = await readRequest(c, instanceRequest)
    if ('error' in request) return c.json(request, 400)
    if (!permits(c.env.peer)) {
      const error =
        'Only programs of the machine that the emulator runs on can be a service so. Give them a port with --instance PORT=SERVICE.'
      return c.json({ error }, 403)
    }
    const { service: name } = request.value
    const service = state.services.list().find((candidate) => candidate.name === name)
    if (!service?.latestReadyRevision) return c.json({ error: `${name} is not deployed.` }, 404)
    const connection = await connect(name)
    const variables = {
      ...connection.env,
      K_SERVICE: name,
      K_REVISION: service.latestReadyRevision,
      K_CONFIGURATION: name,
    }
    const line = new TextEncoder().encode(`${JSON.stringify({ variables })}\n`)
    let beat: ReturnType<typeof setInterval> | undefined
    const answer = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.enqueue(line)
        // Only what is written to finds out that nobody is there any more.
        beat = setInterval(() => controller.enqueue(BEAT), BEAT_TIME)
      },
      async cancel() {
        clearInterval(beat)
        await connection.close()
      },
    })
    return c.body(answer, 200, { 'Content-Type': 'application/x-ndjson' })
  }
}

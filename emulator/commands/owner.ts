/** Google's REST calls of a running emulator, as the project's owner, and what the emulator says of itself. */
import { z } from 'zod'
import type { OwnersCall } from '../manifests.ts'
import { signIn } from '../testing/google.ts'
import { send } from '../testing/http.ts'
import { ask, CommandFailure, readAnswer } from './emulator-at.ts'

const facts = z.object({
  project: z.string(),
  projectNumber: z.string(),
  region: z.string(),
  account: z.string(),
})

export interface Owner extends z.infer<typeof facts> {
  readonly call: OwnersCall
  /** A body that has to come. */
  read(host: string, path: string, body?: object): Promise<unknown>
}

/** Signs in. */
export async function ownerAt(url: URL): Promise<Owner> {
  const known = readAnswer(url, await ask(url, '/_emulator/environment'), facts)
  const token = await signIn(url.href)
  const call: OwnersCall = async (method, host, path, body) => {
    const response = await send(url.href, `https://${host}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return { status: response.status, body: await response.json() }
  }
  return {
    ...known,
    call,
    async read(host, path, body) {
      const answer = await call(body ? 'POST' : 'GET', host, path, body)
      if (answer.status < 300) return answer.body
      throw new CommandFailure(`${host}${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
    },
  }
}

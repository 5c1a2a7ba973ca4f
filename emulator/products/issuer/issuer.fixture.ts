/** What the tests of this room stand on: a state whose clock is moved by hand, and a way to ask. */
import type { Hono } from 'hono'
import type { RoomEnv } from '../../front/request.ts'
import { State } from '../../state/state.ts'
import { createIssuer } from './issuer.ts'

export const OWNER = 'developer@example.com'
export const GCLOUD = '32555940559.apps.googleusercontent.com'
export const SCOPES =
  'openid https://www.googleapis.com/auth/userinfo.email https://www.googleapis.com/auth/cloud-platform'

export interface Issuer {
  readonly state: State
  readonly app: Hono<RoomEnv>
  /** The time, to be moved. */
  now: number
  get(path: string, headers?: Record<string, string>): Promise<Response>
  post(path: string, form: Record<string, string>, headers?: Record<string, string>): Promise<Response>
}

/** `data`: folder of the state; without it, memory. */
export async function openIssuer(start: number, data?: string): Promise<Issuer> {
  let now = start
  const state = await State.open({
    projectId: 'demo-project',
    projectNumber: '123456789012',
    region: 'us-central1',
    scheme: 'http',
    clock: () => now,
    owner: OWNER,
    groups: new Map(),
    domains: new Map(),
    ...(data === undefined ? {} : { data }),
  })
  const app = createIssuer({ state })
  const ask = async (path: string, init: RequestInit) =>
    app.fetch(new Request(`https://oauth2.googleapis.com${path}`, init), {
      host: 'oauth2.googleapis.com',
      scheme: 'https',
      peer: { address: '127.0.0.1' },
    })
  return {
    state,
    app,
    get now() {
      return now
    },
    set now(time) {
      now = time
    },
    get: (path, headers = {}) => ask(path, { headers }),
    post: (path, form, headers = {}) =>
      ask(path, { method: 'POST', body: new URLSearchParams(form), headers }),
  }
}

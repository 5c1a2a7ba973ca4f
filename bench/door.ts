/** Rows about requests: the front door beside a plain proxy, the metadata server beside a bare server. */
import { emulator, type Running } from './emulator.ts'
import type { Prepared, Row } from './harness.ts'
import { drive, type Load } from './load.ts'
import { hello, nginx, nginxMissing } from './peers.ts'

const NGINX = 'nginx as a plain proxy, without checks'

export const doorRows: readonly Row[] = [
  besideNginx('requests to a private service, token verified and IAM decided', 1, async (running, to) => ({
    ...to('closed'),
    status: 200,
    headers: { ...running.to('closed'), authorization: `Bearer ${await running.token('closed')}` },
  })),
  besideNginx('requests to an open service', 1.1, (_, to) => ({ ...to('open'), status: 200 })),
  besideNginx('requests refused with 403', 1.5, (_, to) => ({ ...to('closed'), status: 403 })),
  {
    name: 'ID tokens from the metadata server, the same again',
    unit: 'requests/s',
    beside: 'a bare Bun server',
    aim: { atLeast: 0.6 },
    warmUp: 1,
    most: 5,
    async prepare() {
      const service = await hello()
      const running = await emulator(service.url)
      const path = 'computeMetadata/v1/instance/service-accounts/default/identity?audience=http://a.example'
      const load = {
        url: `${running.url}/${path}`,
        headers: { 'metadata-flavor': 'Google' },
        status: 200,
      }
      return {
        run: () => rate(load),
        beside: () => rate({ url: service.url, status: 200 }),
        close: async () => void (await Promise.all([running.close(), service.close()])),
      }
    },
  },
]

type LoadOf = (
  running: Running,
  to: (service: 'open' | 'closed') => Pick<Load, 'url' | 'headers'>,
) => Load | Promise<Load>

function besideNginx(name: string, atLeast: number, loadOf: LoadOf): Row {
  return {
    name,
    unit: 'requests/s',
    beside: NGINX,
    aim: { atLeast },
    warmUp: 1,
    most: 5,
    missing: nginxMissing,
    async prepare(): Promise<Prepared> {
      const service = await hello()
      const [proxy, running] = await Promise.all([nginx(service.url), emulator(service.url)])
      const load = await loadOf(running, (to) => ({ url: `${running.url}/`, headers: running.to(to) }))
      return {
        run: () => rate(load),
        beside: () => rate({ url: proxy.url, status: 200 }),
        close: async () => void (await Promise.all([proxy.close(), running.close(), service.close()])),
      }
    },
  }
}

async function rate(load: Load): Promise<number> {
  return (await drive(load)).rate
}

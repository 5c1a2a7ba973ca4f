/** The one port as a proxy, over real sockets: what is answered here, what is passed on, and to whom. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createServer, request as httpRequest } from 'node:http'
import {
  type AddressInfo,
  connect,
  createServer as createTcpServer,
  type Server,
  type Socket,
} from 'node:net'
import { networkInterfaces } from 'node:os'
import { text } from 'node:stream/consumers'
import { TLSSocket, connect as tlsConnect } from 'node:tls'
import { type Emulator, startEmulator } from '../emulator.ts'
import { Authority } from './authority.ts'

let emulator: Emulator
let certificate: string
const closers: (() => unknown)[] = []
beforeAll(async () => {
  emulator = await startEmulator({ port: 0 })
  certificate = await (await fetch(`${emulator.url}/_emulator/ca.pem`)).text()
})
afterAll(async () => {
  for (const close of closers) await close()
  await emulator?.close()
})

interface Connected {
  readonly status: number
  readonly body: string
  readonly socket: Socket
}

/** `CONNECT authority` at a proxy; `socket` is the way through where it answers 200. */
function connectTo(authority: string, proxy = emulator.url): Promise<Connected> {
  const { hostname, port } = new URL(proxy)
  return new Promise((resolve, reject) => {
    const asked = httpRequest({ host: hostname, port, method: 'CONNECT', path: authority })
    asked.on('connect', async (response, socket: Socket, head: Buffer) => {
      closers.push(() => socket.destroy())
      const refused = response.statusCode === 200 ? '' : head.toString() + (await text(socket))
      resolve({ status: response.statusCode ?? 0, body: refused, socket })
    })
    asked.on('error', reject)
    asked.end()
  })
}

/** TLS through a tunnel, for a host, trusting one certificate. */
async function encrypted(host: string, authority = `${host}:443`, ca = certificate): Promise<TLSSocket> {
  const { socket } = await connectTo(authority)
  return new Promise((resolve, reject) => {
    const tls = tlsConnect({ socket, servername: host, ca }, () => resolve(tls))
    tls.on('error', reject)
  })
}

/** `GET` over a connection that stands. */
function get(connection: Socket, host: string, path: string) {
  return new Promise<{ readonly status: number; readonly body: string }>((resolve, reject) => {
    const asked = httpRequest(
      { createConnection: () => connection, path, headers: { host } },
      async (response) => resolve({ status: response.statusCode ?? 0, body: await text(response) }),
    )
    asked.on('error', reject)
    asked.end()
  })
}

/** A server of this machine that is not Google's. */
async function listening(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => server.close())
  return (server.address() as AddressInfo).port
}

describe("TLS for Google's names ends here", () => {
  for (const host of [
    'accounts.google.com',
    'us-central1-run.googleapis.com',
    'receiver-123456789012.us-central1.run.app',
    'metadata.google.internal',
  ]) {
    test(`${host} has a certificate of its own, of the local authority`, async () => {
      const tls = await encrypted(host)
      expect(tls.authorized).toBe(true)
      const leaf = tls.getPeerCertificate()
      expect(leaf.subjectaltname).toBe(`DNS:${host}`)
      expect(leaf.issuer.O).toBe('invoker')
      tls.destroy()
    })
  }

  test('a client that does not know the authority refuses it', async () => {
    const stranger = await Authority.open(undefined, Date.now(), () => {})
    await expect(encrypted('accounts.google.com', undefined, stranger.certificate)).rejects.toThrow()
  })

  test('the room answers as it does without TLS', async () => {
    const tls = await encrypted('accounts.google.com')
    const { status, body } = await get(tls, 'accounts.google.com', '/.well-known/openid-configuration')
    expect(status).toBe(200)
    expect(JSON.parse(body).issuer).toBe('https://accounts.google.com')
  })

  test.each(['gcr.io', 'eu.gcr.io', 'us-docker.pkg.dev', 'secretmanager.googleapis.com'])(
    'what goes to %s carries a token of ours: it is refused here, and never passed on',
    async (host) => {
      const { status, body } = await get(await encrypted(host), host, '/v2/')
      expect(status).toBe(400)
      expect(JSON.parse(body).error.message).toStartWith(`The emulator does not serve GET /v2/ of ${host}; `)
    },
  )

  test('the ingress answers there too, and sees https', async () => {
    const host = 'nothing-123456789012.us-central1.run.app'
    expect((await get(await encrypted(host), host, '/')).status).toBe(404)
    expect(emulator.state.decisions.list().at(-1)).toMatchObject({ host, status: 404 })
  })

  for (const [authority, way] of [
    ['metadata.google.internal:80', 'plain to port 80'],
    ['metadata.google.internal:443', 'encrypted to port 443'],
  ] as const) {
    test(`requests follow each other on one connection, ${way}`, async () => {
      const connection = authority.endsWith(':80')
        ? (await connectTo(authority)).socket
        : await encrypted('metadata.google.internal')
      for (const name of ['project-id', 'numeric-project-id', 'project-id']) {
        const answered = answerOn(connection)
        connection.write(
          `GET /computeMetadata/v1/project/${name} HTTP/1.1\r\nHost: metadata.google.internal\r\nMetadata-Flavor: Google\r\n\r\n`,
        )
        expect(await answered).toEndWith(name === 'project-id' ? 'demo-project' : '123456789012')
      }
    })
  }
})

/** The next answer, of which the length is told. */
function answerOn(connection: Socket): Promise<string> {
  return new Promise((resolve) => {
    let seen = ''
    const read = (chunk: Buffer) => {
      seen += chunk.toString()
      const [, length, body] = /content-length: (\d+)[\s\S]*?\r\n\r\n([\s\S]*)$/i.exec(seen) ?? []
      if (body === undefined || body.length < Number(length)) return
      connection.off('data', read)
      resolve(seen)
    }
    connection.on('data', read)
  })
}

describe('other hosts are passed on untouched, for programs of this machine', () => {
  test('a tunnel ends at the other server, with its own certificate', async () => {
    const other = await Authority.open(undefined, Date.now(), () => {})
    const secureContext = await other.contextFor('localhost', Date.now())
    const server = createTcpServer((raw) => {
      const inner = new TLSSocket(raw, { isServer: true, secureContext })
      inner.once('data', () => inner.end('HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nsomebody else'))
    })
    const port = await listening(server)
    const tls = await encrypted('localhost', `127.0.0.1:${port}`, other.certificate)
    expect((await get(tls, 'localhost', '/')).body).toBe('somebody else')
  })

  test('a plain request reaches the other server as it was sent, without what was for the proxy', async () => {
    const seen: string[][] = []
    const server = createServer((incoming, outgoing) => {
      seen.push(incoming.rawHeaders)
      outgoing.end(incoming.url)
    })
    const port = await listening(server)
    const { hostname, port: proxyPort } = new URL(emulator.url)
    const body = await new Promise<string>((resolve, reject) => {
      const asked = httpRequest(
        {
          host: hostname,
          port: proxyPort,
          path: `http://localhost:${port}/a%2Fb?c=%20`,
          headers: { host: `localhost:${port}`, 'X-Mixed-Case': '1', 'Proxy-Connection': 'keep-alive' },
        },
        async (response) => resolve(await text(response)),
      )
      asked.on('error', reject)
      asked.end()
    })
    expect(body).toBe('/a%2Fb?c=%20')
    expect(seen[0]).toContain('X-Mixed-Case')
    expect(seen[0]?.join()).not.toContain('Proxy-Connection')
  })

  test("a service of one's own on this machine is not taken for the emulator", async () => {
    const port = await listening(createServer((_incoming, outgoing) => outgoing.end('mine')))
    const { socket } = await connectTo(`localhost:${port}`)
    expect((await get(socket, 'localhost', '/')).body).toBe('mine')
  })

  test('what cannot be reached is a 502 that says so', async () => {
    const { status, body } = await connectTo('127.0.0.1:1')
    expect(status).toBe(502)
    expect(body).toContain('127.0.0.1:1 cannot be reached')
  })

  test('a CONNECT that names no host is a 400', async () => {
    const { hostname, port } = new URL(emulator.url)
    const socket = connect(Number(port), hostname)
    closers.push(() => socket.destroy())
    socket.write('CONNECT @@@ HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(await text(socket)).toStartWith('HTTP/1.1 400')
  })
})

const outside = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address
if (!outside)
  console.log('SKIPPED: requests from another machine: this one has no other address than loopback')

describe('a program of another machine', () => {
  const fromOutside = outside ? test : test.skip

  fromOutside("reaches Google's names, and nothing else", async () => {
    const open = await startEmulator({ port: 0, host: '0.0.0.0' })
    closers.push(() => open.close())
    const proxy = `http://${outside}:${new URL(open.url).port}`
    const facts = (await (await fetch(`${proxy}/_emulator/environment`)).json()) as { tunnels: boolean }
    expect(facts.tunnels).toBe(false)
    expect((await connectTo('accounts.google.com:443', proxy)).status).toBe(200)

    for (const authority of ['example.com:443', '169.254.169.253:80', '10.0.0.1:22'])
      expect((await connectTo(authority, proxy)).status).toBe(403)
    const plain = await fetch('http://example.com/', { proxy })
    expect(plain.status).toBe(403)
    // A loopback name is the emulator itself, never another server beside it.
    const port = await listening(createServer((_incoming, outgoing) => outgoing.end('inner')))
    const local = await fetch(`http://127.0.0.1:${port}/_emulator/health`, { proxy })
    expect(await local.text()).toContain('"status":"ok"')
  })
})

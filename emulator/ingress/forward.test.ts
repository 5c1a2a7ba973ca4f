import { afterAll, afterEach, beforeAll, expect, test } from 'bun:test'
import { once } from 'node:events'
import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, createServer as createNetServer, type Socket } from 'node:net'
import type { Deployed } from '../state/state.fixture.ts'
import { EVERYONE, listen, openRig, type Rig } from './ingress.fixture.ts'
import { CONNECTION_ERROR, COULD_NOT_START, TIMED_OUT_TEXT } from './log-texts.ts'

let rig: Rig
let open: Deployed
const MIB = 1024 * 1024

beforeAll(async () => {
  rig = await openRig()
  open = rig.deploy('open', { bindings: EVERYONE })
})
afterEach(async () => {
  rig.upstreams.clear()
  // A caller that goes away is noticed a little later.
  for (let turn = 0; rig.timers.size > 0 && turn < 1000; turn++) await Bun.sleep(1)
  expect(rig.timers.size).toBe(0)
})
afterAll(() => rig.close())

/** A request whose body is written by the test. */
function begin(method: string, headers: readonly string[] = [], path = '/'): ClientRequest {
  const request = httpRequest({
    ...{ host: '127.0.0.1', port: rig.port, agent: false, setHost: false, method, path },
    headers: ['Host', open.host, ...headers],
  })
  request.on('error', () => {})
  return request
}

async function answered(request: ClientRequest): Promise<IncomingMessage> {
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return response
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  let all = ''
  for await (const chunk of stream) all += chunk.toString()
  return all
}

/** The next chunk that comes, as text. */
async function chunk(stream: IncomingMessage | Socket): Promise<string> {
  const [data] = (await once(stream, 'data')) as [Buffer]
  return data.toString()
}

/** A container that speaks bytes: answers the n-th connection's first bytes with `answers[n]`. */
async function bytesContainer(work: (socket: Socket, connection: number) => void) {
  let connections = 0
  const server = createNetServer((socket) => {
    socket.on('error', () => {})
    work(socket, connections++)
  })
  const port = await listen(server)
  rig.upstreams.set('open-00001-abc', new URL(`http://127.0.0.1:${port}`))
  return { connections: () => connections, close: () => server.close() }
}

test.each(['/', '/a/../b', '//x//y', '/%2F%20%5B%5D%25', '/a?b=c?d&e=%20%41', "/~!$&'()*+,;=:@", '/?'])(
  'the path and query %s arrive unchanged',
  async (path) => {
    rig.container = (incoming, outgoing) => outgoing.end(incoming.url)
    expect((await rig.call({ host: open.host, path })).body).toBe(path)
  },
)

test.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'PURGE', 'M-SEARCH'])(
  'the method %s arrives unchanged, and without a body where it came without one',
  async (method) => {
    rig.container = (incoming, outgoing) =>
      outgoing.end(`${incoming.method} ${incoming.headers['transfer-encoding']}`)
    // facts 7.13: these two have to say how long their body is.
    const length = method === 'POST' || method === 'PUT' ? 'Content-Length: 0\r\n' : ''
    const request = `${method} / HTTP/1.1\r\nHost: ${open.host}\r\n${length}Connection: close\r\n\r\n`
    expect(await rig.exchange(request)).toEndWith(`\r\n\r\n${method} undefined`)
  },
)

test.each([
  ['/%41%7Euser/%2e%2e%2f', '/A~user/..%2f'],
  ['/plugin-assets/%40org%2Fpackage', '/plugin-assets/@org%2Fpackage'],
  ['/a%3Ab%2Bc%3D%24?d=%40', '/a:b+c=$?d=%40'],
  ['/%2e/%2E%2e/x', '/%2e/%2E%2e/x'],
  [
    '/%C3%A4%20%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D%25%23%3F',
    '/%C3%A4%20%22%3C%3E%5B%5C%5D%5E%60%7B%7C%7D%25%23%3F',
  ],
  ['/%zz%4', '/%zz%4'],
])(
  'facts 7.13: what may stand in a path as it is arrives decoded, a slash does not, and no segment becomes a step up: %s: %s',
  async (path, arrives) => {
    rig.container = (incoming, outgoing) => outgoing.end(incoming.url)
    expect((await rig.call({ host: open.host, path })).body).toBe(arrives)
  },
)

test('facts 7.13: HEAD gets the head that the container gave but for its length, and no body', async () => {
  rig.container = (_incoming, outgoing) =>
    outgoing.writeHead(200, { 'content-length': '1234', etag: '"x"' }).end()
  const request = `HEAD / HTTP/1.1\r\nHost: ${open.host}\r\nConnection: close\r\n\r\n`
  const [head = '', body] = (await rig.exchange(request)).split('\r\n\r\n')
  expect(head).toContain('\r\netag: "x"')
  expect(head).not.toMatch(/content-length|transfer-encoding/i)
  expect(body).toBe('')
})

test('a body with a length keeps it, one without arrives chunked, of a DELETE too', async () => {
  rig.container = async (incoming, outgoing) =>
    outgoing.end(
      `${incoming.headers['content-length']} ${incoming.headers['transfer-encoding']} ${await text(incoming)}`,
    )
  expect((await rig.call({ host: open.host, method: 'PUT', body: 'abc' })).body).toBe('3 undefined abc')
  const request = begin('DELETE', ['Transfer-Encoding', 'chunked'])
  request.end('abc')
  expect(await text(await answered(request))).toBe('undefined chunked abc')
})

test('an answer streams: every piece arrives as it is sent, the head before the first of them', async () => {
  const { promise, resolve } = Promise.withResolvers<(piece: string) => void>()
  rig.container = (_incoming, outgoing) => {
    outgoing.writeHead(200, { 'content-type': 'text/event-stream' })
    outgoing.flushHeaders()
    resolve((piece) => (piece === '' ? outgoing.end() : outgoing.write(piece)))
  }
  const request = begin('GET')
  request.end()
  const response = await answered(request)
  const send = await promise
  for (const piece of ['data: 1\n\n', 'data: 2\n\n', 'data: 3\n\n']) {
    send(piece)
    expect(await chunk(response)).toBe(piece)
  }
  send('')
  await once(response, 'end')
})

test('a request body streams: every piece reaches the container as it comes, and may be answered meanwhile', async () => {
  const { promise, resolve } = Promise.withResolvers<IncomingMessage>()
  rig.container = (incoming, outgoing) => {
    resolve(incoming)
    incoming.pipe(outgoing)
    outgoing.flushHeaders()
  }
  const request = begin('POST', ['Transfer-Encoding', 'chunked'])
  request.flushHeaders()
  const response = await answered(request)
  await promise
  for (const piece of ['one', 'two', 'three']) {
    request.write(piece)
    expect(await chunk(response)).toBe(piece)
  }
  request.end()
  response.resume()
  await once(response, 'end')
})

test('nothing is decompressed or recompressed on the way', async () => {
  const zipped = Bun.gzipSync(Buffer.from('hello'))
  rig.container = (_incoming, outgoing) => outgoing.writeHead(200, { 'content-encoding': 'gzip' }).end(zipped)
  const request = begin('GET', ['Accept-Encoding', 'gzip'])
  request.end()
  const response = await answered(request)
  const chunks: Buffer[] = []
  for await (const piece of response) chunks.push(piece as Buffer)
  expect(Buffer.concat(chunks).equals(Buffer.from(zipped))).toBe(true)
})

test('a container that does not read holds the caller back', async () => {
  const { promise: arrived, resolve: arrive } = Promise.withResolvers<IncomingMessage>()
  rig.container = async (incoming, outgoing) => {
    incoming.pause()
    arrive(incoming)
    let size = 0
    incoming.on('data', (piece: Buffer) => {
      size += piece.length
    })
    incoming.on('end', () => outgoing.end(String(size)))
    incoming.pause()
  }
  const request = begin('POST', ['Content-Length', String(31 * MIB)])
  const piece = Buffer.alloc(MIB)
  let sent = 0
  let room = true
  request.on('drain', () => {
    room = true
  })
  request.flushHeaders()
  const incoming = await arrived
  // Far more turns than 31 MiB need; once the buffers on the way are full, none of them finds room.
  for (let turn = 0; turn < 3000 && sent < 31; turn++) {
    if (room) {
      sent += 1
      room = request.write(piece)
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(sent).toBeLessThan(31)
  incoming.resume()
  for (; sent < 31; sent++) request.write(piece)
  request.end()
  expect(await text(await answered(request))).toBe(String(31 * MIB))
})

test('a caller that goes away ends the request at the container', async () => {
  const { promise: gone, resolve: leave } = Promise.withResolvers<void>()
  rig.container = (_incoming, outgoing) => {
    outgoing.on('close', leave)
    outgoing.write('x')
  }
  const request = begin('GET')
  request.end()
  const response = await answered(request)
  response.on('error', () => {})
  response.resume()
  request.destroy()
  await gone
})

test('a caller that goes away before there is an answer leaves a decision without a status', async () => {
  const { promise: gone, resolve: leave } = Promise.withResolvers<void>()
  const decided = new Promise<void>((resolve) => {
    const stop = rig.state.decisions.onAdd(() => {
      stop()
      resolve()
    })
  })
  const request = begin('POST', ['Content-Length', '10'])
  rig.container = (incoming) => {
    incoming.on('error', () => {})
    incoming.on('close', leave)
    request.destroy()
  }
  request.write('abc')
  await gone
  await decided
  expect(rig.lastDecision()).toMatchObject({ allowed: true, status: 0 })
})

test('a container that dies in the middle of its answer cuts the connection: half an answer is not a whole one', async () => {
  for (const head of ['Content-Length: 100', 'Transfer-Encoding: chunked']) {
    const container = await bytesContainer((socket) =>
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\n${head}\r\n\r\n3\r\nabc\r\n`)
        setImmediate(() => socket.destroy())
      }),
    )
    const request = begin('GET')
    request.end()
    const response = await answered(request)
    expect(await text(response).catch(() => 'cut')).toBe('cut')
    container.close()
  }
})

test('facts 1.2, 1.4: a container that cannot be reached is answered 503, with the sentence in the log', async () => {
  const container = await bytesContainer(() => {})
  container.close()
  const reply = await rig.call({ host: open.host })
  expect([reply.status, reply.reason, reply.body]).toEqual([
    503,
    'Service Unavailable',
    'Service Unavailable',
  ])
  expect(rig.lastDecision()).toMatchObject({ allowed: false, status: 503, log: CONNECTION_ERROR })
  expect(rig.lastDecision().checks.at(-1)).toMatchObject({ name: 'instance', passed: false })
})

test('facts 1.2: a container that goes away before it answers is answered 503', async () => {
  const container = await bytesContainer((socket) => socket.once('data', () => socket.destroy()))
  expect((await rig.call({ host: open.host, method: 'POST', body: 'abc' })).status).toBe(503)
  expect(rig.lastDecision().log).toBe(CONNECTION_ERROR)
  container.close()
})

test('facts 6.3: an answer that is not HTTP is answered 502 with its words', async () => {
  const container = await bytesContainer((socket) =>
    socket.once('data', () => socket.end('nonsense\r\n\r\n')),
  )
  const reply = await rig.call({ host: open.host })
  expect([reply.status, reply.body]).toEqual([
    502,
    'upstream connect error or disconnect/reset before headers. reset reason: protocol error',
  ])
  container.close()
})

test('a change of protocol that nobody asked for is answered 502', async () => {
  const container = await bytesContainer((socket) =>
    socket.once('data', () =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'),
    ),
  )
  expect((await rig.call({ host: open.host })).status).toBe(502)
  container.close()
})

test('facts 1.2: a revision that nothing runs is answered 500', async () => {
  rig.upstreams.set('open-00001-abc', undefined)
  const reply = await rig.call({ host: open.host })
  expect([reply.status, reply.body.length]).toEqual([500, 323])
  expect(rig.lastDecision()).toMatchObject({ log: COULD_NOT_START })
})

test('facts 1.4: a service with no revision that is ready is answered 503', async () => {
  const unready = rig.deploy('unready', { bindings: EVERYONE, revisions: [] })
  expect((await rig.call({ host: unready.host })).status).toBe(503)
})

test('facts 6.3: more than 32 MiB of request is answered 413, said or counted', async () => {
  let size = 0
  rig.container = (incoming, outgoing) => {
    incoming.on('error', () => {})
    incoming.on('data', (piece: Buffer) => {
      size += piece.length
    })
    incoming.on('end', () => outgoing.end(String(size)))
  }
  const said = begin('POST', ['Content-Length', String(32 * MIB + 1)])
  said.flushHeaders()
  expect((await answered(said)).statusCode).toBe(413)
  expect(size).toBe(0)
  said.destroy()

  const counted = begin('POST', ['Transfer-Encoding', 'chunked'])
  const reply = answered(counted)
  for (let sent = 0; sent < 33; sent++) {
    if (!counted.write(Buffer.alloc(MIB))) await once(counted, 'drain')
  }
  counted.end()
  expect((await reply).statusCode).toBe(413)
  counted.destroy()
})

test('a caller that is refused and goes on sending gets its page at once, and is cut off after a while', async () => {
  const closed = rig.deploy('closed')
  const request = httpRequest({
    ...{ host: '127.0.0.1', port: rig.port, agent: false, setHost: false, method: 'POST', path: '/' },
    headers: ['Host', closed.host, 'Content-Length', String(MIB)],
  })
  request.on('error', () => {})
  request.write('the beginning')
  const response = await answered(request)
  const closing = once(request, 'close')
  expect(response.statusCode).toBe(403)
  response.resume()
  await once(response, 'data')
  expect([...rig.timers.values()]).toEqual([10_000])
  for (const work of rig.timers.keys()) work()
  await closing
  expect(request.destroyed).toBe(true)
})

test('facts 6.3: exactly 32 MiB pass', async () => {
  rig.container = (incoming, outgoing) => {
    let size = 0
    incoming.on('data', (piece: Buffer) => {
      size += piece.length
    })
    incoming.on('end', () => outgoing.end(String(size)))
  }
  const reply = await rig.call({ host: open.host, method: 'POST', body: Buffer.alloc(32 * MIB) })
  expect(reply.body).toBe(String(32 * MIB))
})

test('facts 6.3: an answer of more than 32 MiB in one piece is answered 500, a streamed one passes', async () => {
  rig.container = (_incoming, outgoing) => {
    outgoing.on('error', () => {})
    outgoing.writeHead(200, { 'content-length': String(32 * MIB + 1) })
    outgoing.write('x')
  }
  expect((await rig.call({ host: open.host })).status).toBe(500)
  rig.container = (_incoming, outgoing) => {
    outgoing.write('x')
    outgoing.end(Buffer.alloc(33 * MIB))
  }
  const reply = await rig.call({ host: open.host })
  expect([reply.status, reply.body.length]).toEqual([200, 33 * MIB + 1])
})

test("facts 6.3: a container slower than its revision's timeout is answered 504", async () => {
  const slow = rig.deploy('slow', { bindings: EVERYONE, template: { timeoutSeconds: 7 } })
  rig.container = () => {
    for (const [work, delay] of rig.timers) {
      expect(delay).toBe(7000)
      work()
    }
  }
  const reply = await rig.call({ host: slow.host })
  expect([reply.status, reply.body]).toEqual([504, 'upstream request timeout'])
  expect(rig.lastDecision()).toMatchObject({ status: 504, log: TIMED_OUT_TEXT })
})

test('a timeout in the middle of an answer cuts it', async () => {
  rig.container = (_incoming, outgoing) => void outgoing.write('x')
  const request = begin('GET')
  request.end()
  const response = await answered(request)
  const whole = text(response).catch(() => 'cut')
  for (const work of rig.timers.keys()) work()
  expect(await whole).toBe('cut')
})

test('a pooled connection that was closed under a request is no error of the request', async () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
  const container = await bytesContainer((socket, connection) => {
    socket.once('data', () => {
      socket.write(ok)
      // The first connection closes without an answer as soon as it is used again.
      socket.once('data', () => (connection === 0 ? socket.destroy() : socket.write(ok)))
    })
  })
  expect((await rig.call({ host: open.host })).body).toBe('ok')
  expect((await rig.call({ host: open.host })).body).toBe('ok')
  expect(container.connections()).toBe(2)
  container.close()
})

test('a request that may have had an effect is not sent twice', async () => {
  let posts = 0
  const container = await bytesContainer((socket) => {
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
      socket.once('data', () => {
        posts += 1
        socket.destroy()
      })
    })
  })
  expect((await rig.call({ host: open.host })).status).toBe(200)
  expect((await rig.call({ host: open.host, method: 'POST' })).status).toBe(503)
  expect(posts).toBe(1)
  container.close()
})

test('an answer that comes before the whole of the request is passed on', async () => {
  rig.container = (_incoming, outgoing) => outgoing.writeHead(403, { connection: 'close' }).end('no')
  const request = begin('POST', ['Transfer-Encoding', 'chunked'])
  request.write(Buffer.alloc(MIB))
  const response = await answered(request)
  expect([response.statusCode, await text(response)]).toEqual([403, 'no'])
  request.destroy()
})

test('Expect: 100-continue is the container’s to answer, and a refusal comes without it', async () => {
  rig.container = (_incoming, outgoing) => outgoing.end()
  const onContinue = (
    _incoming: IncomingMessage,
    outgoing: { writeContinue(): void; end(text: string): void },
  ) => {
    outgoing.writeContinue()
    outgoing.end('went on')
  }
  rig.containerServer.on('checkContinue', onContinue)
  const asked = (host: string) =>
    rig.exchange(
      `PUT / HTTP/1.1\r\nHost: ${host}\r\nExpect: 100-continue\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    )
  expect(await asked(open.host)).toStartWith('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n')
  expect(await asked(rig.deploy('closed').host)).toStartWith('HTTP/1.1 403 Forbidden\r\n')
  rig.containerServer.off('checkContinue', onContinue)
})

test('early hints and trailers pass', async () => {
  const container = await bytesContainer((socket) =>
    socket.once('data', () =>
      socket.end(
        'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: yes\r\n\r\n',
      ),
    ),
  )
  const all = await rig.exchange(`GET / HTTP/1.1\r\nHost: ${open.host}\r\nConnection: close\r\n\r\n`)
  expect(all).toStartWith('HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\nHTTP/1.1 200 OK\r\n')
  expect(all).toEndWith('2\r\nok\r\n0\r\nX-T: yes\r\n\r\n')
  container.close()
})

test('connections to the caller and to the container are used again', async () => {
  const sockets = new Set<unknown>()
  rig.container = (incoming, outgoing) => {
    sockets.add(incoming.socket)
    outgoing.end('ok')
  }
  const socket = connect(rig.port, '127.0.0.1')
  for (let round = 0; round < 3; round++) {
    socket.write(`GET / HTTP/1.1\r\nHost: ${open.host}\r\n\r\n`)
    expect(await chunk(socket)).toStartWith('HTTP/1.1 200 OK\r\n')
  }
  socket.destroy()
  expect(sockets.size).toBe(1)
})

test('a split sends each request where its share falls', async () => {
  const split = rig.deploy('split', {
    bindings: EVERYONE,
    revisions: ['split-1', 'split-2'],
    traffic: [
      { revisionName: 'split-1', percent: 90 },
      { revisionName: 'split-2', percent: 10, tag: 'next' },
    ],
  })
  rig.container = (_incoming, outgoing) => outgoing.end()
  const revisions = []
  for (const random of [0, 0.89, 0.9]) {
    rig.random = random
    await rig.call({ host: split.host })
    revisions.push(rig.lastDecision().revision)
  }
  rig.random = 0
  await rig.call({ host: `next---${split.host}` })
  expect([...revisions, rig.lastDecision().revision]).toEqual(['split-1', 'split-1', 'split-2', 'split-2'])
})

test('nothing above was a fault of the ingress itself; one that is, is answered 500 and told', async () => {
  expect(rig.faults).toEqual([])
  const broken = await openRig({
    runtime: {
      upstream: () => {
        throw new Error('broken')
      },
      instanceAt: () => Promise.resolve(undefined),
    },
  })
  const { host } = broken.deploy('open', { bindings: EVERYONE })
  const reply = await broken.call({ host })
  expect([reply.status, reply.body.length]).toEqual([500, 323])
  expect(broken.faults).toEqual([expect.stringContaining('broken')])
  await broken.close()
})

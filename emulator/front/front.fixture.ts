/** For tests of the front: requests byte by byte, and the ways in which one address can be spelled. */
import { connect } from 'node:net'
import { networkInterfaces } from 'node:os'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'

/** An address of this machine that is not loopback: what comes from it might as well come from another machine. */
export const outside = Object.values(networkInterfaces())
  .flatMap((all = []) => all)
  .find(({ family, internal }) => family === 'IPv4' && !internal)?.address

export interface RawAnswer {
  readonly status: number
  readonly text: string
}

/** Sends these lines, and no body unless one is given. The answer is read until the connection ends. */
export async function ask(
  { address, port }: { readonly address: string; readonly port: number },
  lines: readonly string[],
  body = '',
): Promise<RawAnswer> {
  const socket = connect(port, address)
  try {
    const length = body === '' ? [] : [`Content-Length: ${Buffer.byteLength(body)}`]
    socket.write(`${[...lines, ...length, 'Connection: close', '', ''].join('\r\n')}${body}`)
    if (lines[0]?.startsWith('CONNECT')) {
      const [first] = await Promise.race([onceData(socket), text(socket).then((all) => [all])])
      return answered(String(first))
    }
    return answered(await text(socket))
  } finally {
    socket.destroy()
  }
}

function onceData(socket: ReturnType<typeof connect>): Promise<readonly unknown[]> {
  return new Promise((resolve, reject) => {
    socket.once('data', (chunk) => resolve([chunk]))
    socket.once('error', reject)
  })
}

function answered(answer: string): RawAnswer {
  const [, status = '0'] = /^HTTP\/1\.1 (\d{3})/.exec(answer) ?? []
  return { status: Number(status), text: answer }
}

/** The ways to write an IPv4 address that resolvers understand. Each comes as a host, IPv6 in brackets. */
export function ipv4Spelling(octets: readonly number[]): fc.Arbitrary<string> {
  const number = fc.constantFrom(
    (value: number) => String(value),
    (value: number) => `0x${value.toString(16)}`,
    (value: number) => `0X${value.toString(16).toUpperCase()}`,
    (value: number) => `0${value.toString(8)}`,
    (value: number) => `000${value.toString(8)}`,
  )
  const parted = fc
    .tuple(fc.integer({ min: 0, max: 3 }), fc.array(number, { minLength: 4, maxLength: 4 }))
    .map(([dots, spell]) => {
      const last = octets.slice(dots).reduce((sum, octet) => sum * 256 + octet, 0)
      return [...octets.slice(0, dots), last].map((value, at) => spell[at]?.(value) ?? value).join('.')
    })
  const [high = 0, low = 0] = [0, 2].map((at) => (octets[at] ?? 0) * 256 + (octets[at + 1] ?? 0))
  const mapped = fc.constantFrom(
    `[::ffff:${octets.join('.')}]`,
    `[::FFFF:${high.toString(16)}:${low.toString(16)}]`,
    `[0:0:0:0:0:ffff:${octets.join('.')}]`,
    `[0000:0000:0000:0000:0000:ffff:${high.toString(16).padStart(4, '0')}:${low.toString(16).padStart(4, '0')}]`,
  )
  const dotted = parted.map((host) => `${host}.`)
  return fc.oneof({ weight: 3, arbitrary: parted }, { weight: 1, arbitrary: dotted }, mapped)
}

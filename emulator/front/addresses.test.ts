import { describe, expect, test } from 'bun:test'
import { networkInterfaces } from 'node:os'
import fc from 'fast-check'
import { canonicalAddress, canonicalHost, isLoopback, isOwnAddress } from './addresses.ts'
import { ipv4Spelling } from './front.fixture.ts'

const octets = fc.tuple(...[0, 1, 2, 3].map(() => fc.integer({ min: 0, max: 255 })))

describe('an address has one spelling', () => {
  test('whichever way it came: decimal, octal, hexadecimal, in fewer parts, mapped to IPv6', () => {
    fc.assert(
      fc.property(
        octets.chain((parts) => fc.tuple(fc.constant(parts.join('.')), ipv4Spelling(parts))),
        ([plain, spelling]) => {
          expect(canonicalHost(spelling)).toBe(plain)
        },
      ),
      { numRuns: 2000 },
    )
  })

  test('as the system tells it, too', () => {
    expect(canonicalAddress('::ffff:127.0.0.1')).toBe('127.0.0.1')
    expect(canonicalAddress('0:0:0:0:0:FFFF:7f00:1')).toBe('127.0.0.1')
    expect(canonicalAddress('fe80::1%eth0')).toBe('fe80::1')
    expect(canonicalAddress('10.0.0.1')).toBe('10.0.0.1')
    expect(canonicalAddress('')).toBe('')
  })

  test('a name is left as it is, in lower case and without its last dot', () => {
    for (const [name, expected] of [
      ['LocalHost', 'localhost'],
      ['Metadata.Google.Internal.', 'metadata.google.internal'],
      ['a_b', 'a_b'],
      ['---.run.app', '---.run.app'],
      ['1a', '1a'],
      ['0x7f.example', '0x7f.example'],
    ] as const)
      expect(canonicalHost(name)).toBe(expected)
  })

  test.each(['256.1.1.1', '1.2.3.4.5', '0x', '[::g]', '[1.2.3.4]', 'a b', '%'])(
    'what is neither a name nor an address is nothing: %p',
    (host) => {
      expect(canonicalHost(host)).toBeOneOf([undefined, '0.0.0.0'])
      expect(isLoopback(canonicalHost(host) ?? '')).toBe(false)
    },
  )

  test('no string makes it throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        canonicalHost(text)
        canonicalAddress(text)
      }),
    )
  })
})

describe("an address is this machine's own", () => {
  test('in all of 127.0.0.0/8, as 0.0.0.0 and ::, and as every address of an interface', () => {
    const interfaces = Object.values(networkInterfaces()).flatMap((all = []) => all)
    for (const { address } of interfaces) expect(isOwnAddress(canonicalAddress(address))).toBe(true)
    fc.assert(
      fc.property(octets, ([, ...rest]) => {
        expect(isLoopback(['127', ...rest].join('.'))).toBe(true)
      }),
    )
    for (const address of ['::1', '::', '0.0.0.0']) expect(isOwnAddress(address)).toBe(true)
  })

  test("and another machine's is not", () => {
    for (const address of ['128.0.0.1', '198.51.100.1', '2001:db8::1', '::2:0:0:1', '169.254.169.254', ''])
      expect(isOwnAddress(address)).toBe(false)
  })
})

/**
 * Tokens that no verifier may take, although the signature over each is right: signed by the very key that is asked for,
 * they differ from a good one in a claim, or in how they are written. For property tests (fast-check).
 */
import { constants, type KeyObject, sign } from 'node:crypto'
import fc from 'fast-check'

/** What a good token is made of. */
export interface Original {
  readonly header: Readonly<Record<string, unknown>>
  readonly claims: Readonly<Record<string, unknown>>
  readonly key: KeyObject
}

export interface HostileToken {
  /** For a person to read: what is wrong with it. */
  readonly what: string
  readonly token: string
}

/** The claims of a good token, with their types. */
const TYPES: Readonly<Record<string, string>> = {
  iss: 'string',
  aud: 'string',
  sub: 'string',
  exp: 'number',
  iat: 'number',
  email: 'string',
  email_verified: 'boolean',
  azp: 'string',
  nbf: 'number',
}
/** Those without which a token says nothing. */
const NEEDED = ['iss', 'aud', 'sub', 'exp', 'iat'] as const
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const BOM = '\uFEFF'

/** The token that all the others are made from. */
export function goodToken({ header, claims, key }: Original): string {
  return signed(encode(JSON.stringify(header)), encode(JSON.stringify(claims)), key)
}

export function hostileTokens(original: Original): fc.Arbitrary<HostileToken> {
  return fc.oneof(wronglyTyped(original), missing(original), overflowing(original), misspelled(original))
}

function wronglyTyped(original: Original): fc.Arbitrary<HostileToken> {
  const odd = fc.oneof(
    fc.jsonValue({ maxDepth: 2 }),
    // What makes `String(value)` throw, and what a careless comparison takes for the value itself.
    fc.constantFrom<unknown>(null, [], {}, { toString: 1, valueOf: 1 }, { length: 1 }, 0, -1, true, '', '0'),
    fc.constantFrom<unknown>(...Object.values(original.claims).flatMap((value) => [[value], { value }])),
  )
  return fc
    .tuple(fc.constantFrom(...Object.entries(TYPES)), odd)
    .filter(([[, type], value]) => typeof value !== type)
    .map(([[name], value]) => ({
      what: `${name}: ${JSON.stringify(value)}`,
      token: goodToken({ ...original, claims: { ...original.claims, [name]: value } }),
    }))
}

function missing(original: Original): fc.Arbitrary<HostileToken> {
  return fc.constantFrom(...NEEDED).map((name) => ({
    what: `no ${name}`,
    token: goodToken({ ...original, claims: { ...original.claims, [name]: undefined } }),
  }))
}

/** JSON numbers that no double holds: they are read as infinite. */
function overflowing({ header, claims, key }: Original): fc.Arbitrary<HostileToken> {
  const numbers = fc.tuple(fc.constantFrom('', '-'), fc.integer({ min: 309, max: 99_999 }))
  return fc.tuple(fc.constantFrom('exp', 'iat', 'nbf'), numbers).map(([name, [minus, exponent]]) => {
    const number = `${minus}1e${exponent}`
    const text = JSON.stringify({ ...claims, [name]: 0 }).replace(`"${name}":0`, `"${name}":${number}`)
    return { what: `${name}: ${number}`, token: signed(encode(JSON.stringify(header)), encode(text), key) }
  })
}

/** The same bytes, or nearly, written in another way. */
function misspelled({ header, claims, key }: Original): fc.Arbitrary<HostileToken> {
  const texts = { header: JSON.stringify(header), payload: JSON.stringify(claims) }
  const head = encode(texts.header)
  const payload = encode(texts.payload)
  const respell = (part: 'header' | 'payload' | 'signature', spell: (segment: string) => string): string => {
    const first = part === 'header' ? spell(head) : head
    const second = part === 'payload' ? spell(payload) : payload
    const token = signed(first, second, key)
    if (part !== 'signature') return token
    const end = token.lastIndexOf('.') + 1
    return token.slice(0, end) + spell(token.slice(end))
  }
  const spellings: readonly (readonly [string, (segment: string) => string])[] = [
    ['padding', (segment) => `${segment}${'='.repeat((4 - (segment.length % 4)) % 4 || 4)}`],
    ['bits left over', leftOver],
    ['a line break', (segment) => `${segment.slice(0, 4)}\n${segment.slice(4)}`],
    ['a space after it', (segment) => `${segment} `],
    ['a character of no alphabet', (segment) => `${segment.slice(0, 4)}!${segment.slice(4)}`],
    ['a zero byte after it', (segment) => `${segment}\0`],
  ]
  const respelled = fc
    .tuple(fc.constantFrom('header', 'payload', 'signature'), fc.constantFrom(...spellings))
    .map(([part, [what, spell]]) => ({ what: `${what} in the ${part}`, token: respell(part, spell) }))
  const contents = fc
    .tuple(
      fc.constantFrom('header', 'payload'),
      fc.constantFrom<readonly [string, (text: string) => Buffer]>(
        ['a byte order mark', (text) => Buffer.from(BOM + text)],
        ['UTF-16', (text) => Buffer.from(text, 'utf16le')],
        ['bytes that are not UTF-8', (text) => Buffer.from(text.replace('{', '{"x":"\u00ff",'), 'latin1')],
        ['something after it', (text) => Buffer.from(`${text}{}`)],
        ['a list around it', (text) => Buffer.from(`[${text}]`)],
        ['a member nested 10,000 deep', (text) => Buffer.from(text.replace('{', `{"x":${nested(10_000)},`))],
      ),
    )
    .map(([part, [what, write]]) => {
      const segment = write(texts[part]).toString('base64url')
      const token = part === 'header' ? signed(segment, payload, key) : signed(head, segment, key)
      return { what: `${what} in the ${part}`, token }
    })
  return fc.oneof(respelled, contents)
}

/** The last character stands for fewer bits than it has; the spare ones are set. Where none are spare, one character too many. */
function leftOver(segment: string): string {
  const spare = { 2: 15, 3: 3 }[segment.length % 4]
  if (spare === undefined) return `${segment}A`
  const last = ALPHABET.indexOf(segment.at(-1) ?? 'A')
  return segment.slice(0, -1) + (ALPHABET[last | spare] ?? '')
}

function nested(levels: number): string {
  return '['.repeat(levels) + ']'.repeat(levels)
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url')
}

function signed(header: string, payload: string, key: KeyObject): string {
  const input = `${header}.${payload}`
  const signature = sign('RSA-SHA256', Buffer.from(input), { key, padding: constants.RSA_PKCS1_PADDING })
  return `${input}.${signature.toString('base64url')}`
}

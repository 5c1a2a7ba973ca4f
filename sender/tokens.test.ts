import { afterEach, beforeEach, expect, test } from 'bun:test'
import { gcpMetadata } from 'google-auth-library'
import { decodeJwt } from 'jose'
import { type MetadataServer, startMetadataServer, useMetadataServer } from './metadata.fixture.ts'
import { googleIdTokens, TokenError } from './tokens.ts'

const AUDIENCE = 'https://receiving-service-123456789012.us-central1.run.app'
const FLAVOR = { 'metadata-flavor': 'Google' }
const metadataSays = (body: string, type = 'text/plain') =>
  new Response(body, { headers: { ...FLAVOR, 'content-type': type } })
let metadata: MetadataServer
let restore: () => void

beforeEach(async () => {
  metadata = await startMetadataServer()
  restore = useMetadataServer(metadata.host)
})
afterEach(async () => {
  gcpMetadata.setGCPResidency()
  restore()
  await metadata.stop()
})

test('a token is asked of the metadata server, for the audience, only when wanted', async () => {
  const tokens = googleIdTokens()
  expect(metadata.asked).toEqual([])
  const header = await tokens.authorization(AUDIENCE)
  expect(header).toBe(`Bearer ${metadata.tokens[0]}`)
  expect(decodeJwt(header.slice('Bearer '.length)).aud).toBe(AUDIENCE)
  expect(metadata.asked).toEqual([AUDIENCE])
})

test('a token is kept, and requests that come together share one fetch', async () => {
  const tokens = googleIdTokens()
  const headers = await Promise.all(Array.from({ length: 50 }, () => tokens.authorization(AUDIENCE)))
  headers.push(await tokens.authorization(AUDIENCE))
  expect(new Set(headers).size).toBe(1)
  expect(metadata.asked).toEqual([AUDIENCE])
})

test('audiences do not share tokens', async () => {
  const tokens = googleIdTokens()
  const [one, other] = await Promise.all([
    tokens.authorization(AUDIENCE),
    tokens.authorization('https://other'),
  ])
  expect(one).not.toBe(other)
  expect(metadata.asked.sort()).toEqual([AUDIENCE, 'https://other'].sort())
})

test('a token with less than five minutes to live is replaced before it is used', async () => {
  const tokens = googleIdTokens()
  metadata.life = 299
  const first = await tokens.authorization(AUDIENCE)
  metadata.life = 3600
  expect(await tokens.authorization(AUDIENCE)).not.toBe(first)
  await tokens.authorization(AUDIENCE)
  expect(metadata.asked).toHaveLength(2)
})

test('a source that refuses is an error that keeps its cause, and is asked again next time', async () => {
  const tokens = googleIdTokens()
  metadata.answer = () => new Response('no', { status: 404, headers: { 'metadata-flavor': 'Google' } })
  const error = await tokens.authorization(AUDIENCE).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(TokenError)
  expect(error).toMatchObject({ code: 'ERR_TOKEN_SOURCE', cause: { status: 404 } })
  metadata.answer = undefined
  expect(await tokens.authorization(AUDIENCE)).toStartWith('Bearer ')
})

test.each<[string, () => Response]>([
  ['nothing', () => metadataSays('')],
  ['white space', () => metadataSays(' \n')],
  ['a page', () => metadataSays('<!DOCTYPE html><title>Sign in to the network</title>', 'text/html')],
  ['JSON', () => Response.json({ token: 'x' }, { headers: FLAVOR })],
  ['a sentence', () => metadataSays('no such account')],
  ['an access token', () => metadataSays('ya29.c.abc')],
  ['segments that are not base64url', () => metadataSays('a.b.c')],
  ['a token with padding', () => metadataSays(`${metadata.tokens.at(-1)}==`)],
  ['a token and more', () => metadataSays(`${metadata.tokens.at(-1)} ${metadata.tokens.at(-1)}`)],
])('a source that answers 200 with %s has no token, and is asked again next time', async (_, answer) => {
  const tokens = googleIdTokens()
  metadata.life = 299 // fetched anew each time
  await tokens.authorization(AUDIENCE)
  metadata.answer = answer
  const error = await tokens.authorization(AUDIENCE).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(TokenError)
  expect(error).toMatchObject({ code: 'ERR_TOKEN_SOURCE' })
  metadata.answer = undefined
  expect(await tokens.authorization(AUDIENCE)).toBe(`Bearer ${metadata.tokens.at(-1)}`)
})

test('a source that hangs is given up on, and does not hold up the next request', async () => {
  const timer = new AbortController()
  const signals = [timer.signal, new AbortController().signal]
  const tokens = googleIdTokens({ deadline: () => signals.shift() ?? timer.signal })
  const hanging = Promise.withResolvers<Response>()
  metadata.answer = () => {
    timer.abort()
    return hanging.promise
  }
  await expect(tokens.authorization(AUDIENCE)).rejects.toMatchObject({ code: 'ERR_TOKEN_TIMEOUT' })
  metadata.answer = undefined
  expect(await tokens.authorization(AUDIENCE)).toStartWith('Bearer ')
  hanging.resolve(new Response())
})

test('a source that was missing at first is found once it is there', async () => {
  // Off Google Cloud the library looks whether the server is there, and remembers what it found.
  gcpMetadata.setGCPResidency(false)
  const { host } = metadata
  process.env.GCE_METADATA_HOST = '127.0.0.1:1'
  const tokens = googleIdTokens()
  await expect(tokens.authorization(AUDIENCE)).rejects.toBeInstanceOf(TokenError)
  process.env.GCE_METADATA_HOST = host
  expect(await tokens.authorization(AUDIENCE)).toStartWith('Bearer ')
})

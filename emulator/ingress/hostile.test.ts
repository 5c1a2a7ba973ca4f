/** Credentials made to deceive: none passes, none is a 5xx, none reaches the container. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { createHmac, createPrivateKey, createSign, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { hostileTokens } from '../../trust/hostile-tokens.ts'
import type { ServiceAccount } from '../state/resources.ts'
import type { Deployed } from '../state/state.fixture.ts'
import { INVOKER, openRig, type Rig } from './ingress.fixture.ts'

let rig: Rig
let caller: ServiceAccount
let closed: Deployed
let good: string
let reached = 0

beforeAll(async () => {
  rig = await openRig()
  caller = rig.account('caller')
  closed = rig.deploy('closed', {
    bindings: [{ role: INVOKER, members: [`serviceAccount:${caller.email}`] }],
  })
  good = await rig.token(caller, closed.url)
  rig.container = (_incoming, outgoing) => {
    reached += 1
    outgoing.end()
  }
})
afterAll(() => rig.close())

const foreign = generateKeyPairSync('rsa', { modulusLength: 2048 })
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const now = () => Math.floor(rig.now / 1000)
const header = () => ({ alg: 'RS256', kid: rig.state.keys.signing(rig.now).kid, typ: 'JWT' })
const claims = () => ({
  aud: closed.url,
  azp: caller.uniqueId,
  email: caller.email,
  email_verified: true,
  exp: now() + 3600,
  iat: now(),
  iss: 'https://accounts.google.com',
  sub: caller.uniqueId,
})

/** Signed with the key that Google would sign with. */
function signed(change: Record<string, unknown>, head: Record<string, unknown> = {}): Promise<string> {
  return signedText(JSON.stringify({ ...claims(), ...change }), head)
}

async function signedText(payload: string, head: Record<string, unknown> = {}): Promise<string> {
  const key = await rig.state.keys.privateKeyOf(rig.state.keys.signing(rig.now))
  const input = `${encode({ ...header(), ...head })}.${Buffer.from(payload).toString('base64url')}`
  const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', key, Buffer.from(input))
  return `${input}.${Buffer.from(signature).toString('base64url')}`
}

function signedByOther(head: Record<string, unknown> = {}): string {
  const input = `${encode({ ...header(), ...head })}.${encode(claims())}`
  return `${input}.${createSign('RSA-SHA256').update(input).sign(foreign.privateKey).toString('base64url')}`
}

function withPublicKeyAsSecret(): string {
  const { certificate } = rig.state.keys.signing(rig.now)
  const input = `${encode({ ...header(), alg: 'HS256' })}.${encode(claims())}`
  return `${input}.${createHmac('sha256', certificate).update(input).digest('base64url')}`
}

const parts = () => {
  const [head = '', payload = '', signature = ''] = good.split('.')
  return { head, payload, signature }
}
const jwk = () => foreign.publicKey.export({ format: 'jwk' })

const TOKENS: readonly (readonly [string, () => string | Promise<string>])[] = [
  ['alg none', () => `${encode({ alg: 'none', typ: 'JWT' })}.${parts().payload}.`],
  [
    'alg none with a signature',
    () => `${encode({ ...header(), alg: 'none' })}.${parts().payload}.${parts().signature}`,
  ],
  ['alg None', () => `${encode({ ...header(), alg: 'None' })}.${parts().payload}.x`],
  ['no alg', () => `${encode({ kid: header().kid })}.${parts().payload}.${parts().signature}`],
  ['HS256 with the public key', withPublicKeyAsSecret],
  ['RS512', () => signed({}, { alg: 'RS512' })],
  ['a foreign key under our kid', () => signedByOther()],
  ['an unknown kid', () => signedByOther({ kid: '0'.repeat(40) })],
  ['our key under an unknown kid', () => signed({}, { kid: '0'.repeat(40) })],
  ['a kid that is a path', () => signedByOther({ kid: '../../../dev/null' })],
  ['a kid that is no string', () => signedByOther({ kid: 7 })],
  ['no kid', () => signedByOther({ kid: undefined })],
  ['its own key in jwk', () => signedByOther({ jwk: jwk() })],
  ['its own key in jwk, and no kid', () => signedByOther({ jwk: jwk(), kid: undefined })],
  ['its own keys at jku', () => signedByOther({ jku: 'http://127.0.0.1:1/keys' })],
  ['its own certificate at x5u', () => signedByOther({ x5u: 'http://127.0.0.1:1/cert' })],
  ['its own certificate in x5c', () => signedByOther({ x5c: ['AAAA'] })],
  ['a critical header', () => signed({}, { crit: ['exp'], exp: 1 })],
  ['an unencoded payload', () => signed({}, { crit: ['b64'], b64: false })],
  ['no exp', () => signed({ exp: undefined })],
  ['exp as text', () => signed({ exp: String(now() + 3600) })],
  ['exp null', () => signed({ exp: null })],
  ['exp far away', () => signed({ exp: 1e15 })],
  ['exp now', () => signed({ exp: now() })],
  ['no iat', () => signed({ iat: undefined })],
  ['iat in the future', () => signed({ iat: now() + 60 })],
  ['nbf in the future', () => signed({ nbf: now() + 60 })],
  ['nbf as text', () => signed({ nbf: 'soon' })],
  ['another issuer', () => signed({ iss: 'https://securetoken.google.com/demo-project' })],
  ['an issuer with a slash', () => signed({ iss: 'https://accounts.google.com/' })],
  ['no issuer', () => signed({ iss: undefined })],
  ['an audience array', () => signed({ aud: [closed.url] })],
  ['an audience array of several', () => signed({ aud: ['x', closed.url] })],
  ['an audience object', () => signed({ aud: { toString: closed.url } })],
  ['no audience', () => signed({ aud: undefined })],
  ['an email that is a number', () => signed({ email: 7 })],
  ['an email that is a list', () => signed({ email: [caller.email] })],
  ['an email that is an object', () => signed({ email: { toString: 1 } })],
  ['email_verified as text', () => signed({ email_verified: 'true' })],
  ['padding', () => `${good}==`],
  ['a byte order mark before the payload', () => signedText(`\uFEFF${JSON.stringify(claims())}`)],
  ['exp beyond all numbers', () => signedText(JSON.stringify(claims()).replace(/"exp":\d+/, '"exp":1e400'))],
  ['no subject', () => signed({ sub: undefined })],
  ["somebody else's subject", () => signed({ sub: '1'.repeat(21) })],
  ['a subject that is __proto__', () => signed({ sub: '__proto__', email: '__proto__' })],
  [
    'a changed payload',
    () => `${parts().head}.${encode({ ...claims(), aud: closed.url, x: 1 })}.${parts().signature}`,
  ],
  ['a payload that is an array', async () => `${parts().head}.${encode([1])}.${parts().signature}`],
  ['a changed signature', () => `${good.slice(0, -8)}AAAAAAAA`],
  ['no signature', () => `${parts().head}.${parts().payload}.`],
  ['no signature and no dot', () => `${parts().head}.${parts().payload}`],
  ['four segments', () => `${good}.${parts().signature}`],
  ['five segments, as an encrypted token has', () => 'a.b.c.d.e'],
  ['dots', () => '..'],
  ['a removed signature', () => `${parts().head}.${parts().payload}.SIGNATURE_REMOVED_BY_GOOGLE`],
  ['a space inside', () => `${good.slice(0, 50)} ${good.slice(50)}`],
  ['two tokens', () => `${good},${good}`],
  ['two tokens and a scheme', () => `${good}, Bearer ${good}`],
  ['a quoted token', () => `"${good}"`],
  ['bytes that are not ASCII', () => `${good}\u00e9`],
  ['64 KiB of letters', () => 'a'.repeat(65536)],
  ['64 KiB of dots', () => '.'.repeat(65536)],
  ['a 64 KiB token of a foreign key', () => signedByOther({ x5c: ['A'.repeat(49152)] })],
  ['a 64 KiB payload under our signature', () => `${parts().head}.${'A'.repeat(65536)}.${parts().signature}`],
  ['a header nested 16 Ki deep', () => `${Buffer.from('['.repeat(16384)).toString('base64url')}.e30.x`],
  ['a header that is not JSON', () => 'AAAA.AAAA.AAAA'],
  ['a header that is null', () => `${encode(null)}.${parts().payload}.${parts().signature}`],
]

test.each(TOKENS)('%s is answered 401', async (_what, make) => {
  const token = await make()
  const before = reached
  const reply = await rig.call({ host: closed.host, headers: ['Authorization', `Bearer ${token}`] })
  expect([reply.status, reached]).toEqual([401, before])
  expect(reply.headers['www-authenticate']).toStartWith('Bearer error="invalid_token"')
  // Neither the caller's page nor the decision tells the token.
  expect(JSON.stringify(rig.lastDecision())).not.toContain(token.slice(0, 65536).padEnd(30, ' '))
})

test('nor is any other token that differs from a good one in the type of a claim or in how it is written', async () => {
  const key = createPrivateKey({ key: { ...rig.state.keys.signing(rig.now).privateJwk }, format: 'jwk' })
  const before = reached
  const tokens = hostileTokens({ header: header(), claims: claims(), key })
  // What no header can hold is for the verifier's own test.
  const sendable = tokens.filter(({ token }) => /^[!-~]+$/.test(token))
  await fc.assert(
    fc.asyncProperty(sendable, async ({ token }) => {
      const reply = await rig.call({ host: closed.host, headers: ['Authorization', `Bearer ${token}`] })
      expect(reply.status).toBe(401)
    }),
    { numRuns: 200 },
  )
  expect(reached).toBe(before)
})

test('the good token, which all of them are made from, passes', async () => {
  const reply = await rig.call({ host: closed.host, headers: ['Authorization', `Bearer ${good}`] })
  expect(reply.status).toBe(200)
})

test.each([
  ['Authorization', 'Authorization'],
  ['X-Serverless-Authorization', 'X-Serverless-Authorization'],
  ['authorization', 'AUTHORIZATION'],
])('%s twice is answered 401, in every order of good and bad', async (first, second) => {
  for (const [one, two] of [
    [good, good],
    [good, 'bad'],
    ['bad', good],
    ['', good],
    [good, ''],
  ]) {
    const headers = [first, `Bearer ${one}`, second, `Bearer ${two}`]
    expect((await rig.call({ host: closed.host, headers })).status).toBe(401)
  }
})

test('both headers, in every order: only X-Serverless-Authorization counts', async () => {
  const ordinary = (token: string) => ['Authorization', `Bearer ${token}`]
  const serverless = (token: string) => ['X-Serverless-Authorization', `Bearer ${token}`]
  const status = async (...headers: string[]) => (await rig.call({ host: closed.host, headers })).status
  expect(await status(...ordinary('bad'), ...serverless(good))).toBe(200)
  expect(await status(...serverless(good), ...ordinary('bad'))).toBe(200)
  expect(await status(...ordinary(good), ...serverless('bad'))).toBe(401)
  expect(await status(...serverless('bad'), ...ordinary(good))).toBe(401)
})

test.each([
  [
    'x-serverless-authorization',
    () => `bearer ${parts().head}.${parts().payload}.SIGNATURE_REMOVED_BY_GOOGLE`,
  ],
  ['authorization', () => `Bearer ${good}`],
])('Connection: %s does not take the credential from the container', async (name, arrives) => {
  let received: unknown
  rig.container = (incoming, outgoing) => {
    received = incoming.headers[name]
    outgoing.end()
  }
  await rig.call({ host: closed.host, headers: [name, `Bearer ${good}`, 'Connection', name] })
  expect(received).toBe(arrives())
})

test('nothing above was a fault of the ingress itself', () => {
  expect(rig.faults).toEqual([])
})

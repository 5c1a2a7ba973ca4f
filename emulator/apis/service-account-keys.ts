/** Identity and Access Management API v1: keys of service accounts, real RSA ones. */
import type { iam_v1 } from '@googleapis/iam'
import { exportPKCS8, importJWK } from 'jose'
import type { ServiceAccount, ServiceAccountKey } from '../state/resources.ts'
import type { State } from '../state/state.ts'
import { createSigningKey } from '../tokens/keys.ts'
import { ApiError, invalid, notFound } from './errors.ts'
import type { Google } from './google.ts'
import { accountFor, unknownAccount } from './iam.ts'
import { enumeration, message } from './messages.ts'
import type { Call, Router } from './route.ts'

const keyAlgorithm = enumeration('google.iam.admin.v1.ServiceAccountKeyAlgorithm', [
  'KEY_ALG_UNSPECIFIED',
  'KEY_ALG_RSA_1024',
  'KEY_ALG_RSA_2048',
])
const privateKeyType = enumeration('google.iam.admin.v1.ServiceAccountPrivateKeyType', [
  'TYPE_UNSPECIFIED',
  'TYPE_PKCS12_FILE',
  'TYPE_GOOGLE_CREDENTIALS_FILE',
])
const createMessage = message({ privateKeyType, keyAlgorithm })
const emptyMessage = message({})

const KEYS = '/v1/projects/{project}/serviceAccounts/{account}/keys'
const KEY = `${KEYS}/{key}`
const NEVER = '9999-12-31T23:59:59Z'
/** IAM's limit of user-managed keys on one account. */
const MOST_KEYS = 10

export function serviceKeys(routes: Router, { state }: Google): void {
  const keysOf = (account: ServiceAccount) =>
    state.serviceAccountKeys.list().filter((key) => key.account === account.email)
  const keyFor = (call: Call, permission: Parameters<typeof accountFor>[2]): ServiceAccountKey => {
    const account = accountFor(call, state, permission)
    const key = state.serviceAccountKeys.get(call.param('key'))
    // facts 6.9.
    if (!key || key.account !== account.email)
      throw notFound(`Service account key ${call.param('key')} does not exist.`)
    return key
  }
  const userKeyFor = (call: Call, permission: Parameters<typeof accountFor>[2]): ServiceAccountKey => {
    const key = keyFor(call, permission)
    // Inferred wording.
    if (key.type === 'SYSTEM_MANAGED') throw invalid('System-managed keys cannot be changed.')
    return key
  }

  routes.post(KEYS, async (call) => {
    const { privateKeyType: type, keyAlgorithm: algorithm } = await call.body(createMessage)
    if (type === 'TYPE_PKCS12_FILE' || algorithm === 'KEY_ALG_RSA_1024') {
      throw new ApiError('UNIMPLEMENTED', 'The emulator makes 2048-bit keys as credentials files only.')
    }
    const account = accountFor(call, state, 'iam.serviceAccountKeys.create')
    if (keysOf(account).filter((key) => key.type === 'USER_MANAGED').length >= MOST_KEYS) {
      throw new ApiError('FAILED_PRECONDITION', 'Precondition check failed.')
    }
    const { key, privateKey } = await makeKey(state, account, 'USER_MANAGED')
    const credentials = JSON.stringify(credentialsFile(account, key, privateKey), null, 2)
    return {
      ...showKey(account, key),
      privateKeyType: 'TYPE_GOOGLE_CREDENTIALS_FILE',
      privateKeyData: Buffer.from(`${credentials}\n`).toString('base64'),
    } satisfies iam_v1.Schema$ServiceAccountKey
  })
  routes.get(KEYS, async (call) => {
    const account = accountFor(call, state, 'iam.serviceAccountKeys.list')
    // Every account has a key that Google manages.
    await systemKey(state, account)
    const types = call.queries('keyTypes')
    const shown = keysOf(account).filter(({ type }) => types.length === 0 || types.includes(type))
    return {
      ...(shown.length ? { keys: shown.map((key) => showKey(account, key)) } : {}),
    } satisfies iam_v1.Schema$ListServiceAccountKeysResponse
  })
  routes.get(KEY, (call) => {
    const key = keyFor(call, 'iam.serviceAccountKeys.get')
    const account = accountFor(call, state, 'iam.serviceAccountKeys.get')
    const asked = call.query('publicKeyType')
    return {
      ...showKey(account, key),
      ...(asked === 'TYPE_X509_PEM_FILE' || asked === '1'
        ? { publicKeyData: Buffer.from(key.certificate).toString('base64') }
        : {}),
    } satisfies iam_v1.Schema$ServiceAccountKey
  })
  routes.delete(KEY, (call) => {
    state.serviceAccountKeys.delete(userKeyFor(call, 'iam.serviceAccountKeys.delete').keyId)
    return {}
  })
  for (const [method, disabled] of [
    ['enable', false],
    ['disable', true],
  ] as const) {
    routes.post(`${KEY}:${method}`, async (call) => {
      await call.body(emptyMessage)
      const key = userKeyFor(call, `iam.serviceAccountKeys.${method}`)
      state.serviceAccountKeys.put(key.keyId, { ...key, disabled })
      return {}
    })
  }
}

/**
 * The key with which Google signs for an account (`signBlob`, `signJwt`), made when first needed. Never the key that signs ID
 * tokens: callers choose what this one signs.
 */
export async function systemKey(state: State, account: ServiceAccount): Promise<ServiceAccountKey> {
  const find = () =>
    state.serviceAccountKeys
      .list()
      .find(({ account: email, type }) => email === account.email && type === 'SYSTEM_MANAGED')
  const known = find()
  if (known) return known
  const { key } = await makeKey(state, account, 'SYSTEM_MANAGED', () => find() === undefined)
  return find() ?? key
}

/** `stillWanted` is asked when the key has been made: somebody else may have been quicker. */
async function makeKey(
  state: State,
  account: ServiceAccount,
  type: ServiceAccountKey['type'],
  stillWanted: () => boolean = () => true,
): Promise<{ readonly key: ServiceAccountKey; readonly privateKey: string }> {
  const { kid, publicJwk, privateJwk, certificate } = await createSigningKey(state.clock())
  const imported = await importJWK({ ...privateJwk }, 'RS256', { extractable: true })
  if (imported instanceof Uint8Array) throw new Error('an RSA key was imported as bytes')
  const key: ServiceAccountKey = {
    keyId: kid,
    account: account.email,
    type,
    publicJwk,
    ...(type === 'SYSTEM_MANAGED' ? { privateJwk } : {}),
    certificate,
    disabled: false,
    createTime: new Date(state.clock()).toISOString().replace(/\.\d+/, ''),
  }
  if (!state.serviceAccounts.has(account.email)) throw unknownAccount()
  if (stillWanted()) state.serviceAccountKeys.put(kid, key)
  return { key, privateKey: await exportPKCS8(imported) }
}

function showKey(
  { projectId, email }: ServiceAccount,
  key: ServiceAccountKey,
): iam_v1.Schema$ServiceAccountKey {
  return {
    name: `projects/${projectId}/serviceAccounts/${email}/keys/${key.keyId}`,
    validAfterTime: key.createTime,
    validBeforeTime: NEVER,
    keyAlgorithm: 'KEY_ALG_RSA_2048',
    keyOrigin: 'GOOGLE_PROVIDED',
    keyType: key.type,
    ...(key.disabled ? { disabled: true } : {}),
  } satisfies iam_v1.Schema$ServiceAccountKey
}

/** The file that Google's libraries read. */
function credentialsFile(account: ServiceAccount, key: ServiceAccountKey, privateKey: string) {
  return {
    type: 'service_account',
    project_id: account.projectId,
    private_key_id: key.keyId,
    private_key: privateKey.endsWith('\n') ? privateKey : `${privateKey}\n`,
    client_email: account.email,
    client_id: account.uniqueId,
    auth_uri: 'https://accounts.google.com/o/oauth2/auth',
    token_uri: 'https://oauth2.googleapis.com/token',
    auth_provider_x509_cert_url: 'https://www.googleapis.com/oauth2/v1/certs',
    client_x509_cert_url: `https://www.googleapis.com/robot/v1/metadata/x509/${encodeURIComponent(account.email)}`,
    universe_domain: 'googleapis.com',
  }
}

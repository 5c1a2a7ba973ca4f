/** Identity and Access Management API v1: keys of service accounts, real RSA ones. */
import { createHash, X509Certificate } from 'node:crypto'
import type { iam_v1 } from '@googleapis/iam'
import { exportPKCS8, importJWK, type JWK } from 'jose'
import { ApiError, invalid, notFound } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { bytes, enumeration, message } from '../../rest/messages.ts'
import type { Call, Router } from '../../rest/route.ts'
import { accountKeys, createUserKey, keepKey, systemKey, wholeSeconds } from '../../state/account-keys.ts'
import type { AccountKeys } from '../../state/parts.ts'
import type { ServiceAccount, ServiceAccountKey } from '../../state/resources.ts'
import { accountFor, unknownAccount } from './iam.ts'

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
const uploadMessage = message({ publicKeyData: bytes })
const emptyMessage = message({})

const KEYS = '/v1/projects/{project}/serviceAccounts/{account}/keys'
const KEY = `${KEYS}/{key}`
const NEVER = '9999-12-31T23:59:59Z'
/** IAM's limit of user-managed keys on one account. */
const MOST_KEYS = 10

export function serviceKeys(routes: Router, { state }: Google<AccountKeys>): void {
  const { keysOf, roomFor, keyFor, userKeyFor } = keyAccess(state)

  routes.post(KEYS, async (call) => {
    const { privateKeyType: type, keyAlgorithm: algorithm } = await call.body(createMessage)
    if (type === 'TYPE_PKCS12_FILE' || algorithm === 'KEY_ALG_RSA_1024') {
      throw new ApiError('UNIMPLEMENTED', 'The emulator makes 2048-bit keys as credentials files only.')
    }
    const account = roomFor(call)
    const made = await createUserKey(state, account)
    if (!made) throw unknownAccount()
    const { key, privateJwk } = made
    const credentials = JSON.stringify(credentialsFile(account, key, await pkcs8(privateJwk)), null, 2)
    return {
      ...showKey(account, key),
      privateKeyType: 'TYPE_GOOGLE_CREDENTIALS_FILE',
      privateKeyData: Buffer.from(`${credentials}\n`).toString('base64'),
    } satisfies iam_v1.Schema$ServiceAccountKey
  })
  routes.post(`${KEYS}:upload`, async (call) => {
    const { publicKeyData } = await call.body(uploadMessage)
    const account = roomFor(call)
    if (!publicKeyData) throw invalid('Request contains an invalid argument.')
    const key = uploadedKey(account, publicKeyData, state.clock())
    if (state.serviceAccountKeys.has(key.keyId))
      throw new ApiError('ALREADY_EXISTS', 'Requested entity already exists') // inferred
    if (!keepKey(state, account, key)) throw unknownAccount()
    return showKey(account, key)
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

/** The keys that a call means, where its caller may. */
function keyAccess(state: Google<AccountKeys>['state']) {
  const keysOf = (account: ServiceAccount) => accountKeys(state, account)
  /** The account of the path, where it may have one more key. */
  const roomFor = (call: Call): ServiceAccount => {
    const account = accountFor(call, state, 'iam.serviceAccountKeys.create')
    if (keysOf(account).filter((key) => key.type === 'USER_MANAGED').length >= MOST_KEYS) {
      throw new ApiError('FAILED_PRECONDITION', 'Precondition check failed.')
    }
    return account
  }
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
  return { keysOf, roomFor, keyFor, userKeyFor }
}

/** What a public key is uploaded as: an X.509 certificate, PEM, in base64. */
function uploadedKey(account: ServiceAccount, publicKeyData: string, now: number): ServiceAccountKey {
  const certificate = readCertificate(Buffer.from(publicKeyData, 'base64').toString())
  const { n, e, kty } = certificate.publicKey.export({ format: 'jwk' })
  // Inferred wording, as in readCertificate.
  if (kty !== 'RSA' || !n || !e) throw invalid('Invalid public key: it must be an RSA key.')
  // How Google derives the id is not known.
  const keyId = createHash('sha1').update(certificate.raw).digest('hex')
  return {
    keyId,
    account: account.email,
    type: 'USER_MANAGED',
    publicJwk: { alg: 'RS256', e, kid: keyId, kty: 'RSA', n, use: 'sig' },
    certificate: certificate.toString(),
    disabled: false,
    createTime: wholeSeconds(now),
    uploaded: {
      validAfterTime: wholeSeconds(Date.parse(certificate.validFrom)),
      validBeforeTime: wholeSeconds(Date.parse(certificate.validTo)),
    },
  }
}

function readCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (cause) {
    throw new ApiError('INVALID_ARGUMENT', 'Invalid public key: it must be an X.509 certificate in PEM.', {
      cause,
    })
  }
}

async function pkcs8(jwk: JWK): Promise<string> {
  const key = await importJWK({ ...jwk }, 'RS256', { extractable: true })
  if (key instanceof Uint8Array) throw new Error('an RSA key was imported as bytes')
  return exportPKCS8(key)
}

function showKey(
  { projectId, email }: ServiceAccount,
  key: ServiceAccountKey,
): iam_v1.Schema$ServiceAccountKey {
  return {
    name: `projects/${projectId}/serviceAccounts/${email}/keys/${key.keyId}`,
    validAfterTime: key.uploaded?.validAfterTime ?? key.createTime,
    validBeforeTime: key.uploaded?.validBeforeTime ?? NEVER,
    keyAlgorithm: 'KEY_ALG_RSA_2048',
    keyOrigin: key.uploaded ? 'USER_PROVIDED' : 'GOOGLE_PROVIDED',
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

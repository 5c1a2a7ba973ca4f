/** Keys of service accounts: the ones that Google manages, made when first needed, and new ones for whoever asks. */
import { createSigningKey } from '../tokens/keys.ts'
import type { AccountKeys, Accounts, Read, Timed } from './parts.ts'
import type { ServiceAccount, ServiceAccountKey } from './resources.ts'

type KeyState = AccountKeys & Read<Accounts & Timed>

/** Every key of an account, oldest first. */
export function accountKeys(
  state: AccountKeys,
  { email }: Pick<ServiceAccount, 'email'>,
): readonly ServiceAccountKey[] {
  return state.serviceAccountKeys.listBy('account', email)
}

/**
 * The key with which Google signs for an account (`signBlob`, `signJwt`). Never the key that signs ID tokens: callers choose
 * what this one signs. Undefined when the account went away meanwhile.
 */
export async function systemKey(
  state: KeyState,
  account: ServiceAccount,
): Promise<(ServiceAccountKey & { readonly privateJwk: object }) | undefined> {
  const find = () => accountKeys(state, account).find(({ type }) => type === 'SYSTEM_MANAGED')
  if (!find()) {
    const { privateJwk, ...made } = await createSigningKey(state.clock())
    // Somebody else may have been quicker.
    if (!find()) keepKey(state, account, { ...entry(state, account, made, 'SYSTEM_MANAGED'), privateJwk })
  }
  const key = find()
  return key?.privateJwk ? { ...key, privateJwk: key.privateJwk } : undefined
}

/** A new key of which only the caller gets the private half. Undefined when the account went away meanwhile. */
export async function createUserKey(state: KeyState, account: ServiceAccount) {
  const { privateJwk, ...made } = await createSigningKey(state.clock())
  const key = entry(state, account, made, 'USER_MANAGED')
  return keepKey(state, account, key) ? { key, privateJwk } : undefined
}

/** False when there is no such account any more. */
export function keepKey(state: KeyState, account: ServiceAccount, key: ServiceAccountKey): boolean {
  const current = state.serviceAccounts.get(account.email)
  if (current?.uniqueId !== account.uniqueId) return false
  state.serviceAccountKeys.put(key.keyId, key)
  return true
}

function entry(
  state: KeyState,
  account: ServiceAccount,
  {
    kid,
    publicJwk,
    certificate,
  }: Pick<Awaited<ReturnType<typeof createSigningKey>>, 'kid' | 'publicJwk' | 'certificate'>,
  type: ServiceAccountKey['type'],
): ServiceAccountKey {
  return {
    keyId: kid,
    account: account.email,
    type,
    publicJwk,
    certificate,
    disabled: false,
    createTime: wholeSeconds(state.clock()),
  }
}

/** RFC 3339 without a fraction, as IAM writes the times of keys. */
export function wholeSeconds(time: number): string {
  return new Date(time).toISOString().replace(/\.\d+/, '')
}

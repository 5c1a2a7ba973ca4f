/** The public keys of one service account, Google's and its own: what verifies `signJwt`, `signBlob` and self-signed tokens. */
import { accountKeys, systemKey } from '../../state/account-keys.ts'
import type { AccountKeys, Accounts, Timed } from '../../state/parts.ts'
import type { PublicJwk } from '../../tokens/keys.ts'

export type AccountKeySet = { readonly keys: readonly PublicJwk[] }

/** Undefined when there is no such account. */
export async function accountKeySet(
  state: Accounts & AccountKeys & Timed,
  email: string,
): Promise<AccountKeySet | undefined> {
  const keys = await publishedKeys(state, email)
  // Member by member: whatever a key may come to hold, only these are ever published.
  return (
    keys && {
      keys: keys.map(({ publicJwk: { alg, e, kid, kty, n, use } }) => ({ alg, e, kid, kty, n, use })),
    }
  )
}

/** Certificates by key id, PEM. Undefined when there is no such account. */
export async function accountCertificates(
  state: Accounts & AccountKeys & Timed,
  email: string,
): Promise<Readonly<Record<string, string>> | undefined> {
  const keys = await publishedKeys(state, email)
  return keys && Object.fromEntries(keys.map(({ keyId, certificate }) => [keyId, certificate]))
}

async function publishedKeys(state: Accounts & AccountKeys & Timed, email: string) {
  const account = state.serviceAccounts.get(email.toLowerCase())
  // Every account has a key that Google manages.
  if (!account || !(await systemKey(state, account))) return undefined
  return accountKeys(state, account).filter(({ disabled }) => !disabled)
}

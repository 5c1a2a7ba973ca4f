/** What the deletion of a service account leaves behind, and how it is taken back. */
import type { Policy } from '../../iam/policy.ts'
import type { Collection } from '../../state/collection.ts'
import type { AccountKeys, Accounts, DeletedAccounts, Projects, Services, Stored } from '../../state/parts.ts'
import type { ServiceAccount } from '../../state/resources.ts'

export type DeletionState = AccountKeys & Accounts & DeletedAccounts & Projects & Services & Stored

/** Deletes an account and its keys. Policies that named it name a deleted account from now on (facts 1.7). */
export function deleteAccount(state: DeletionState, account: ServiceAccount): void {
  const { email, uniqueId } = account
  state.store.transaction(() => {
    for (const { keyId } of state.serviceAccountKeys.listBy('account', email))
      state.serviceAccountKeys.delete(keyId)
    state.serviceAccounts.delete(email)
    state.deletedServiceAccounts.put(uniqueId, account)
    renameMember(state, `serviceAccount:${email}`, `deleted:serviceAccount:${email}?uid=${uniqueId}`)
  })
}

/** Brings an account back with its unique id, and with it the bindings that named it. Its keys stay deleted (inferred). */
export function undeleteAccount(state: DeletionState, account: ServiceAccount): void {
  const { email, uniqueId } = account
  state.store.transaction(() => {
    state.deletedServiceAccounts.delete(uniqueId)
    state.serviceAccounts.put(email, account)
    renameMember(state, `deleted:serviceAccount:${email}?uid=${uniqueId}`, `serviceAccount:${email}`)
  })
}

function renameMember(state: DeletionState, from: string, to: string): void {
  renameIn(state.projects, from, to)
  renameIn(state.services, from, to)
  renameIn(state.serviceAccounts, from, to)
}

function renameIn<T extends { readonly policy: Policy }>(
  collection: Pick<Collection<T>, 'entries' | 'put'>,
  from: string,
  to: string,
): void {
  for (const [key, resource] of collection.entries()) {
    const { policy } = resource
    if (!policy.bindings.some(({ members }) => members.includes(from))) continue
    const bindings = policy.bindings.map((binding) => ({
      ...binding,
      members: binding.members.map((member) => (member === from ? to : member)),
    }))
    collection.put(key, { ...resource, policy: { ...policy, bindings } })
  }
}

/** Identity and Access Management API v1: service accounts. */
import type { iam_v1 } from '@googleapis/iam'
import { newEtag, sameEtag } from '../../iam/etag.ts'
import { EMPTY_POLICY } from '../../iam/policy.ts'
import type { Permission } from '../../iam/roles.ts'
import { accountPolicies, type CallerState, iamDenied, projectPolicies } from '../../rest/caller.ts'
import { ApiError, invalid, notFound } from '../../rest/errors.ts'
import type { Google } from '../../rest/google.ts'
import { bool, bytes, message, text } from '../../rest/messages.ts'
import { listed } from '../../rest/paging.ts'
import { policyRoutes } from '../../rest/policies.ts'
import type { Call, Router } from '../../rest/route.ts'
import { serviceAccountEmail } from '../../state/names.ts'
import type { Project, ServiceAccount } from '../../state/resources.ts'
import { mintUniqueId } from '../../tokens/mint.ts'
import { type DeletionState, deleteAccount, undeleteAccount } from './account-deletion.ts'

const accountMessage = message({
  name: text,
  projectId: text,
  uniqueId: text,
  email: text,
  displayName: text,
  etag: bytes,
  description: text,
  oauth2ClientId: text,
  disabled: bool,
})
const createMessage = message({ accountId: text, serviceAccount: accountMessage })
const patchMessage = message({ serviceAccount: accountMessage, updateMask: text })
const emptyMessage = message({})

const LIST_LIMIT = 100
const ACCOUNTS = '/v1/projects/{project}/serviceAccounts'
const ACCOUNT = `${ACCOUNTS}/{account}`

export function iam(routes: Router, google: Google<DeletionState>): void {
  const { state } = google
  accountRoutes(routes, google)
  changeRoutes(routes, google)
  deletionRoutes(routes, google)
  policyRoutes<ServiceAccount>(routes, google, ACCOUNT, {
    kind: 'serviceAccount',
    permissions: { get: 'iam.serviceAccounts.getIamPolicy', set: 'iam.serviceAccounts.setIamPolicy' },
    readBy: ['POST'],
    find: (call, permission) => accountFor(call, state, permission),
    put: (account, policy) => state.serviceAccounts.put(account.email, { ...account, policy }),
    policies(call) {
      const account = findAccount(call, state)
      if (!account) throw unknownAccount()
      return accountPolicies(state, account)
    },
  })
}

function accountRoutes(routes: Router, { state, random }: Google<DeletionState>): void {
  routes.post(ACCOUNTS, async (call) => {
    const { accountId = '', serviceAccount = {} } = await call.body(createMessage)
    const project = call.project('iam.serviceAccounts.create', () => iamDenied('iam.serviceAccounts.create'))
    requireAccountId(accountId)
    requireTexts(serviceAccount)
    const { projectId } = project
    const email = serviceAccountEmail(accountId, projectId)
    if (state.serviceAccount(email)) throw alreadyExists(accountId, projectId, email)
    const account: ServiceAccount = {
      email,
      uniqueId: mintUniqueId(),
      projectId,
      displayName: serviceAccount.displayName ?? '',
      description: serviceAccount.description ?? '',
      disabled: false,
      createTime: state.timestamp(),
      policy: EMPTY_POLICY,
      etag: newEtag(random),
    }
    state.serviceAccounts.put(email, account)
    return showAccount(account)
  })

  routes.get(ACCOUNTS, (call) => {
    const { projectId } = call.project('iam.serviceAccounts.list', () =>
      iamDenied('iam.serviceAccounts.list'),
    )
    const own = state.serviceAccounts.list().filter((account) => account.projectId === projectId)
    return listed('accounts', call, own, { limit: LIST_LIMIT, show: showAccount })
  })

  routes.get(ACCOUNT, (call) => showAccount(accountFor(call, state, 'iam.serviceAccounts.get')))
}

function changeRoutes(routes: Router, { state, random }: Google<DeletionState>): void {
  const change = (
    call: Call,
    permission: Permission,
    changes: (account: ServiceAccount) => Partial<ServiceAccount>,
  ) => {
    const account = accountFor(call, state, permission)
    const changed = { ...account, ...changes(account), etag: newEtag(random) }
    state.serviceAccounts.put(changed.email, changed)
    return changed
  }
  routes.patch(ACCOUNT, async (call) => {
    const { serviceAccount = {}, updateMask } = await call.body(patchMessage)
    requireTexts(serviceAccount)
    const fields = (updateMask ?? '')
      .split(',')
      .map((field) => field.trim().replace('display_name', 'displayName'))
    const { displayName, description, etag } = serviceAccount
    const changed = change(call, 'iam.serviceAccounts.update', (account) => {
      requireEtag(account, etag)
      return {
        ...(fields.includes('displayName') ? { displayName: displayName ?? '' } : {}),
        ...(fields.includes('description') ? { description: description ?? '' } : {}),
      }
    })
    return showAccount(changed)
  })
  routes.put(ACCOUNT, async (call) => {
    const { displayName, description, etag } = await call.body(accountMessage)
    requireTexts({ displayName, description })
    const changed = change(call, 'iam.serviceAccounts.update', (account) => {
      requireEtag(account, etag)
      return {
        ...(displayName === undefined ? {} : { displayName }),
        ...(description === undefined ? {} : { description }),
      }
    })
    return showAccount(changed)
  })
  routes.post(`${ACCOUNT}:enable`, async (call) => {
    await call.body(emptyMessage)
    change(call, 'iam.serviceAccounts.enable', () => ({ disabled: false }))
    return {}
  })
  routes.post(`${ACCOUNT}:disable`, async (call) => {
    await call.body(emptyMessage)
    change(call, 'iam.serviceAccounts.disable', () => ({ disabled: true }))
    return {}
  })
}

function deletionRoutes(routes: Router, { state }: Google<DeletionState>): void {
  routes.delete(ACCOUNT, (call) => {
    deleteAccount(state, accountFor(call, state, 'iam.serviceAccounts.delete'))
    return {}
  })

  routes.post(`${ACCOUNT}:undelete`, async (call) => {
    await call.body(emptyMessage)
    const account = state.deletedServiceAccounts.get(call.param('account'))
    const project = account && state.project(account.projectId)
    const permission = 'iam.serviceAccounts.undelete'
    call.authorise(permission, projectPolicies(project), () => iamDenied(permission))
    if (!account) throw unknownAccount()
    const { email, projectId } = account
    if (state.serviceAccount(email)) throw alreadyExists(email.replace(/@.*/, ''), projectId, email)
    undeleteAccount(state, account)
    return { restoredAccount: showAccount(account) } satisfies iam_v1.Schema$UndeleteServiceAccountResponse
  })
}

/** The account of the path, by email or unique id, where the caller holds the permission on it. Project `-` is any. */
export function accountFor(call: Call, state: CallerState, permission: Permission): ServiceAccount {
  const account = findAccount(call, state)
  if (!account) {
    // facts 6.9: whoever may look learns that it does not exist; for others the two are one.
    const project = state.project(call.param('project')) ?? projectOfEmail(call, state)
    call.authorise(permission, projectPolicies(project), () => iamDenied(permission))
    throw unknownAccount()
  }
  const project = state.project(account.projectId)
  if (project) call.requireEnabled(project)
  call.authorise(permission, accountPolicies(state, account), () => iamDenied(permission))
  return account
}

function findAccount(call: Call, state: CallerState): ServiceAccount | undefined {
  const name = call.param('account')
  if (!/^\d+$/.test(name) && !name.includes('@')) {
    // facts 6.9.
    throw invalid('The name should be in the form "projects/{project_id}/serviceAccounts/{account}".')
  }
  const account = state.serviceAccount(name)
  const project = call.param('project')
  return project === '-' || (account && state.project(project)?.projectId === account.projectId)
    ? account
    : undefined
}

/** An email tells its project, so that `projects/-` can be refused by the right policy. */
function projectOfEmail(call: Call, state: CallerState): Project | undefined {
  const [, id] = /@([^.]+)\.iam\.gserviceaccount\.com$/.exec(call.param('account').toLowerCase()) ?? []
  return id === undefined ? undefined : state.project(id)
}

export function showAccount(account: ServiceAccount): iam_v1.Schema$ServiceAccount {
  const { email, uniqueId, projectId, displayName, description, disabled, etag } = account
  return {
    name: `projects/${projectId}/serviceAccounts/${email}`,
    projectId,
    uniqueId,
    email,
    ...(displayName ? { displayName } : {}),
    etag,
    ...(description ? { description } : {}),
    oauth2ClientId: uniqueId,
    ...(disabled ? { disabled } : {}),
  } satisfies iam_v1.Schema$ServiceAccount
}

/** facts 6.9. */
export function unknownAccount(): ApiError {
  return notFound('Unknown service account')
}

function requireAccountId(accountId: string): void {
  // Seen in the wild, gh:google/litmus#107.
  if (accountId.length < 6 || accountId.length > 30) {
    throw invalid(`The account ID "${accountId}" does not have a length between 6 and 30.`)
  }
  // Inferred wording; the rule is documented.
  if (!/^[a-z](?:[-a-z0-9]*[a-z0-9])$/.test(accountId)) {
    throw invalid(
      `The account ID "${accountId}" is invalid: it must start with a lower case letter, followed by lower case alphanumeric characters that can be separated by hyphens.`,
    )
  }
}

/** IAM counts UTF-8 bytes. Inferred wording. */
function requireTexts({
  displayName = '',
  description = '',
}: {
  readonly displayName?: string | undefined
  readonly description?: string | undefined
}): void {
  if (Buffer.byteLength(displayName) > 100) throw invalid('The display name must be at most 100 UTF-8 bytes.')
  if (Buffer.byteLength(description) > 256) throw invalid('The description must be at most 256 UTF-8 bytes.')
}

function requireEtag(account: ServiceAccount, etag: string | undefined): void {
  if (!etag || sameEtag(etag, account.etag)) return
  // Inferred wording.
  throw new ApiError('ABORTED', 'There were concurrent modifications to the service account.')
}

/** facts 6.9. */
function alreadyExists(accountId: string, projectId: string, email: string): ApiError {
  return new ApiError(
    'ALREADY_EXISTS',
    `Service account ${accountId} already exists within project projects/${projectId}.`,
    {
      reason: 'alreadyExists',
      details: [
        {
          '@type': 'type.googleapis.com/google.rpc.ResourceInfo',
          resourceName: `projects/${projectId}/serviceAccounts/${email}`,
        },
      ],
    },
  )
}

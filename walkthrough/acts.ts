/**
 * The tutorial as data: five acts, each a few changes and what `GET /` on the sender must then answer.
 *
 * Every target runs this one list. A change is a command of the tutorial, not yet in anybody's spelling.
 */

export type ServiceRole = 'sender' | 'receiver'

/** `gcloud run deploy`. */
export interface Deploy {
  readonly kind: 'deploy'
  readonly service: ServiceRole
  /** `--allow-unauthenticated` or `--no-allow-unauthenticated`. */
  readonly allowUnauthenticated: boolean
  /** `--set-env-vars`; the receiver's URL is added for the sender. */
  readonly env?: Readonly<Record<string, string>>
  /** `--service-account`, by account id; the default compute account without it. */
  readonly serviceAccount?: string
  /** `--revision-suffix`: names the revision, so that whoever runs the container can tell which one it is. */
  readonly revisionSuffix?: string
}

/** `gcloud iam service-accounts create`. */
export interface CreateServiceAccount {
  readonly kind: 'create-service-account'
  readonly accountId: string
  readonly displayName: string
}

/** `gcloud run services add-iam-policy-binding`. */
export interface Grant {
  readonly kind: 'grant'
  readonly service: ServiceRole
  readonly role: string
  /** Account id of the service account that gets the role. */
  readonly serviceAccount: string
}

export type Change = Deploy | CreateServiceAccount | Grant

export interface Act {
  readonly act: number
  readonly title: string
  readonly changes: readonly Change[]
  /** What `GET /` on the sender answers once the changes are made. */
  readonly expected: { readonly status: number; readonly body: string }
}

/** The services' names in the project. */
export const SERVICES: Readonly<Record<ServiceRole, string>> = {
  sender: 'sending-service',
  receiver: 'receiving-service',
}

export const CALLING_ACCOUNT = 'calling-service-sa'

const PREFIX = 'Response from receiving service: '
const HELLO = { status: 200, body: `${PREFIX}Hello from the receiving service!` }
/** facts 1.4: the page of Google's front end, to the byte. */
const FORBIDDEN = {
  status: 403,
  body: `${PREFIX}
<html><head>
<meta http-equiv="content-type" content="text/html;charset=utf-8">
<title>403 Forbidden</title>
</head>
<body text=#000000 bgcolor=#ffffff>
<h1>Error: Forbidden</h1>
<h2>Your client does not have permission to get URL <code>/</code> from this server.</h2>
<h2></h2>
</body></html>
`,
}

export const ACTS: readonly Act[] = [
  {
    act: 1,
    title: 'The receiver is open to everyone; the sender sends no token',
    changes: [
      { kind: 'deploy', service: 'receiver', allowUnauthenticated: true },
      {
        kind: 'deploy',
        service: 'sender',
        allowUnauthenticated: true,
        env: { SENDER_AUTH: 'none' },
        revisionSuffix: 'no-token',
      },
    ],
    expected: HELLO,
  },
  {
    act: 2,
    title: 'The receiver is closed to unauthenticated callers',
    changes: [{ kind: 'deploy', service: 'receiver', allowUnauthenticated: false }],
    expected: FORBIDDEN,
  },
  {
    act: 3,
    title: 'The sender sends an ID token of the default compute service account, which is an Editor',
    changes: [
      {
        kind: 'deploy',
        service: 'sender',
        allowUnauthenticated: true,
        env: { SENDER_AUTH: 'id-token' },
        revisionSuffix: 'id-token',
      },
    ],
    expected: HELLO,
  },
  {
    act: 4,
    title: 'The sender runs as a service account of its own, which holds no role',
    changes: [
      { kind: 'create-service-account', accountId: CALLING_ACCOUNT, displayName: 'Calling Service Account' },
      {
        kind: 'deploy',
        service: 'sender',
        allowUnauthenticated: true,
        env: { SENDER_AUTH: 'id-token' },
        serviceAccount: CALLING_ACCOUNT,
        revisionSuffix: 'own-account',
      },
    ],
    expected: FORBIDDEN,
  },
  {
    act: 5,
    title: 'That service account is granted roles/run.invoker on the receiver',
    changes: [
      { kind: 'grant', service: 'receiver', role: 'roles/run.invoker', serviceAccount: CALLING_ACCOUNT },
    ],
    expected: HELLO,
  },
]

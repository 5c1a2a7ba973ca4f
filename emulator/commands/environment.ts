/**
 * The variables that make gcloud, curl and any other program on a machine reach an emulator. Pure.
 *
 * Two ways (facts gcloud 1). `intercept`: everything goes through the emulator as a proxy that ends TLS for Google's names,
 * so that addresses are those of the cloud. `override`: gcloud is told other endpoints, over plain HTTP.
 */

import { join } from 'node:path'
import type { EmulatorFacts } from '../client/control.ts'
import { type TrustFiles, trustEnvironment } from '../trust.ts'

export type Mode = 'intercept' | 'override'

/** Files and folders that the variables name. */
export interface Places {
  /** gcloud's configuration folder. */
  readonly configuration: string
  /** Certificates: the emulator's alone, and with all that this machine trusts. */
  readonly trust: TrustFiles
}

/** Variables to set, and others to take away. */
export interface Environment {
  readonly set: Readonly<Record<string, string>>
  readonly unset: readonly string[]
}

export interface EnvironmentRequest {
  readonly mode: Mode
  readonly url: URL
  readonly facts: Pick<EmulatorFacts, 'scheme' | 'endpoints'>
  readonly places: Places
  /** True: client libraries, and gcloud with them, find the emulator's metadata server, as on a machine in the cloud. */
  readonly metadata: boolean
  /** The email of whoever signs in next; the emulator's owner without it. */
  readonly account?: string | undefined
  /** True: Java is told by the one variable that it reads. */
  readonly java: boolean
  readonly platform: NodeJS.Platform
  /** The shell's variables, as they are without an emulator. */
  readonly current: Readonly<Record<string, string | undefined>>
}

export function environmentFor(request: EnvironmentRequest): Environment {
  const { mode, facts, current } = request
  const set = {
    ...gcloud(request),
    ...(mode === 'override' ? overrides(request) : {}),
    ...proxies(request, mode === 'intercept' || facts.scheme === 'https'),
    ...(request.metadata ? metadataServer(request.url) : {}),
  }
  return { set, unset: leadingAway(set, current) }
}

/** The variables of a program that is started with it. */
export function applied(
  { set, unset }: Environment,
  current: EnvironmentRequest['current'],
): Readonly<Record<string, string | undefined>> {
  return { ...current, ...Object.fromEntries(unset.map((name) => [name, undefined])), ...set }
}

/** What would lead a program past the emulator, but for what is set. */
export function leadingAway(
  set: Readonly<Record<string, string>>,
  current: EnvironmentRequest['current'],
): readonly string[] {
  const endpoints = Object.keys(current).filter((name) => name.startsWith(OVERRIDE))
  return [...LEADING_AWAY, ...endpoints].filter((name) => !(name in set))
}

/** The variables of a shell that was to reach an emulator and has none: gcloud reaches nothing, and nobody is signed in. */
export function closedEnvironment({
  configuration,
  current,
}: {
  /** A configuration folder that is not there. */
  readonly configuration: string
  readonly current: Readonly<Record<string, string | undefined>>
}): Environment {
  const set = {
    CLOUDSDK_CONFIG: configuration,
    CLOUDSDK_PROXY_TYPE: 'http',
    // Nothing listens there on any machine.
    CLOUDSDK_PROXY_ADDRESS: '127.0.0.1',
    CLOUDSDK_PROXY_PORT: '9',
    GOOGLE_APPLICATION_CREDENTIALS: join(configuration, DEFAULT_CREDENTIALS),
  }
  return { set, unset: leadingAway(set, current) }
}

/** As gcloud names the file that `gcloud auth application-default login` writes. */
const DEFAULT_CREDENTIALS = 'application_default_credentials.json'

function gcloud({
  places,
  platform,
  current,
  account,
  metadata,
}: EnvironmentRequest): Record<string, string> {
  const hint = account === undefined ? '' : `&login_hint=${encodeURIComponent(account).replace('%40', '@')}`
  const nowhere = platform === 'win32' ? 'NUL' : '/dev/null'
  const hasDisplay = ['DISPLAY', 'WAYLAND_DISPLAY', 'MIR_SOCKET'].some((name) => current[name])
  return {
    // facts gcloud 2: tokens are kept there, so it is one emulator's own.
    CLOUDSDK_CONFIG: places.configuration,
    CLOUDSDK_CORE_DISABLE_USAGE_REPORTING: 'true',
    CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK: 'true',
    CLOUDSDK_SURVEY_DISABLE_PROMPTS: 'true',
    // facts gcloud 2: the browser that signs in. Without `&` gcloud waits for it, and it for gcloud.
    BROWSER: `curl -sL -o ${nowhere} %s${hint} &`,
    // Only Python's library asks gcloud's folder; Node's and Go's would find what this machine's user has signed in to. Where
    // there is a metadata server, a file that is not there would keep them from it.
    ...(metadata ? {} : { GOOGLE_APPLICATION_CREDENTIALS: join(places.configuration, DEFAULT_CREDENTIALS) }),
    // facts gcloud 2: on Linux gcloud opens a browser only where there is a display.
    ...(platform === 'linux' && !hasDisplay ? { DISPLAY: ':0' } : {}),
  }
}

const OVERRIDE = 'CLOUDSDK_API_ENDPOINT_OVERRIDES_'

function overrides({ url, facts }: EnvironmentRequest): Record<string, string> {
  const { origin } = url
  const { direct, byName } = facts.endpoints
  return {
    ...Object.fromEntries(direct.map((setting) => [`${OVERRIDE}${setting}`, `${origin}/`])),
    ...Object.fromEntries(
      Object.entries(byName).map(([setting, host]) => [`${OVERRIDE}${setting}`, `http://${host}/`]),
    ),
    CLOUDSDK_AUTH_AUTH_HOST: `${origin}/o/oauth2/auth`,
    CLOUDSDK_AUTH_TOKEN_HOST: `${origin}/token`,
    OAUTHLIB_INSECURE_TRANSPORT: '1',
  }
}

/** Each in both spellings: programs read one or the other. */
function proxies(
  { url, places, current, java }: EnvironmentRequest,
  encrypted: boolean,
): Record<string, string> {
  const { origin } = url
  const direct = [...new Set([...LOCAL, url.hostname.replace(/^\[|\]$/g, '')])]
  const list = direct.join(',')
  return {
    http_proxy: origin,
    HTTP_PROXY: origin,
    no_proxy: list,
    NO_PROXY: list,
    NODE_USE_ENV_PROXY: '1', // Node.js reads the others only so
    ...(encrypted ? { https_proxy: origin, HTTPS_PROXY: origin, ...trust(places.trust, current) } : {}),
    ...(java ? javaOptions(url, direct, encrypted ? places.trust : undefined, current) : {}),
  }
}

const LOCAL = ['localhost', '127.0.0.1', '::1']

function trust(files: TrustFiles, current: EnvironmentRequest['current']): Record<string, string> {
  const { JAVA_TOOL_OPTIONS: _java, ...known } = trustEnvironment(files)
  const more = [...ALSO_REPLACING, ...REPLACING_WHERE_SET.filter((name) => current[name])]
  return { ...known, ...Object.fromEntries(more.map((name) => [name, files.bundle])) }
}

/** facts gcloud 1: gcloud reads the first of these; they replace what is trusted, so they name the bundle. */
const ALSO_REPLACING = ['CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE', 'HTTPLIB2_CA_CERTS']
/** Read before the usual ones by a few programs, so where one is set it has to know the emulator too. */
const REPLACING_WHERE_SET = ['NIX_SSL_CERT_FILE', 'AWS_CA_BUNDLE', 'PIP_CERT', 'GIT_SSL_CAINFO']

/** Every variable that may name a file of certificates. */
export const CERTIFICATE_FILES: readonly string[] = [
  ...['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'],
  ...ALSO_REPLACING,
  ...REPLACING_WHERE_SET,
]

/** Java reads no proxy variable: it is told on its command line, after what it is told already. */
function javaOptions(
  { hostname, port }: URL,
  direct: readonly string[],
  files: TrustFiles | undefined,
  current: EnvironmentRequest['current'],
): Record<string, string> {
  const at = (scheme: string) => [
    `-D${scheme}.proxyHost=${hostname}`,
    `-D${scheme}.proxyPort=${port || '80'}`,
  ]
  const ways = files ? [...at('http'), ...at('https')] : at('http')
  const trusted = files ? (trustEnvironment(files).JAVA_TOOL_OPTIONS ?? '') : ''
  const around = `-Dhttp.nonProxyHosts=${direct.join('|')}`
  const told = [current.JAVA_TOOL_OPTIONS, trusted, ...ways, around].filter(Boolean)
  return { JAVA_TOOL_OPTIONS: told.join(' ') }
}

function metadataServer({ host }: URL): Record<string, string> {
  // facts gcloud 5: no library reads all three, and gcloud reads the last.
  return { GCE_METADATA_HOST: host, GCE_METADATA_IP: host, GCE_METADATA_ROOT: host }
}

/** What would lead gcloud or a client library past the emulator, or hand it a real credential. */
const LEADING_AWAY: readonly string[] = [
  ...['TYPE', 'ADDRESS', 'PORT', 'USERNAME', 'PASSWORD', 'RDNS'].map((name) => `CLOUDSDK_PROXY_${name}`),
  'CLOUDSDK_ACTIVE_CONFIG_NAME',
  'CLOUDSDK_AUTH_ACCESS_TOKEN',
  'CLOUDSDK_AUTH_ACCESS_TOKEN_FILE',
  'CLOUDSDK_AUTH_AUTH_HOST',
  'CLOUDSDK_AUTH_CREDENTIAL_FILE_OVERRIDE',
  'CLOUDSDK_AUTH_DISABLE_CREDENTIALS',
  'CLOUDSDK_AUTH_IMPERSONATE_SERVICE_ACCOUNT',
  'CLOUDSDK_AUTH_LOGIN_CONFIG_FILE',
  'CLOUDSDK_AUTH_TOKEN_HOST',
  'CLOUDSDK_BILLING_QUOTA_PROJECT',
  'CLOUDSDK_COMPUTE_REGION',
  'CLOUDSDK_CORE_ACCOUNT',
  'CLOUDSDK_CORE_PROJECT',
  'CLOUDSDK_RUN_REGION',
  'GCE_METADATA_HOST',
  'GCE_METADATA_IP',
  'GCE_METADATA_ROOT',
  'GCLOUD_PROJECT',
  'GOOGLE_APPLICATION_CREDENTIALS',
  'GOOGLE_CLOUD_PROJECT',
  'GOOGLE_CLOUD_QUOTA_PROJECT',
  'OAUTHLIB_INSECURE_TRANSPORT',
]

/** The settings that a flag and a variable (`INVOKER_…`) name: a line each, in the order that `--help` shows them. */
import type { Config } from './schema.ts'

/** What the variables begin with. */
export const PREFIX = 'INVOKER_'

type Shape = 'value' | 'list' | 'pairs' | 'lists'
export interface Setting {
  readonly key: keyof Config
  readonly flag: string
  readonly argument: string
  readonly shape: Shape
  readonly help: string
}

/** The settings, in the order that `--help` shows them. */
export const SETTINGS: readonly Setting[] = [
  {
    key: 'port',
    flag: 'port',
    argument: 'N',
    shape: 'value',
    help: 'the one port; 0 takes any free one (8080)',
  },
  {
    key: 'tlsPort',
    flag: 'tls-port',
    argument: 'N',
    shape: 'value',
    help: 'a port for TLS, with a certificate for whatever name is asked for (none)',
  },
  {
    key: 'caDir',
    flag: 'ca-dir',
    argument: 'DIR',
    shape: 'value',
    help: 'folder that its CA is written to: ca.pem, bundle.pem, truststore.p12',
  },
  {
    key: 'host',
    flag: 'host',
    argument: 'ADDRESS',
    shape: 'value',
    help: 'the address to listen on (127.0.0.1)',
  },
  {
    key: 'alias',
    flag: 'alias',
    argument: 'NAME',
    shape: 'list',
    help: 'a host name that the emulator answers to, beside localhost, addresses and names without a dot; may be repeated',
  },
  { key: 'project', flag: 'project', argument: 'ID', shape: 'value', help: 'project id (demo-project)' },
  {
    key: 'projectNumber',
    flag: 'project-number',
    argument: 'N',
    shape: 'value',
    help: 'project number (123456789012)',
  },
  {
    key: 'region',
    flag: 'region',
    argument: 'REGION',
    shape: 'value',
    help: 'region of services that name none (us-central1)',
  },
  {
    key: 'data',
    flag: 'data',
    argument: 'DIR',
    shape: 'value',
    help: 'folder that keeps the state; without it the state is in memory',
  },
  {
    key: 'scheme',
    flag: 'scheme',
    argument: 'SCHEME',
    shape: 'value',
    help: "scheme of a service's URL: http or https (http)",
  },
  {
    key: 'account',
    flag: 'account',
    argument: 'EMAIL',
    shape: 'value',
    help: 'the person who owns the project (developer@example.com)',
  },
  {
    key: 'audiencePath',
    flag: 'audience-path',
    argument: 'ANSWER',
    shape: 'value',
    help: "what becomes of a token for a service's URL with a path: accept or refuse (accept)",
  },
  {
    key: 'frontEndRules',
    flag: 'front-end-rules',
    argument: 'RULES',
    shape: 'value',
    help: "whether rules count that were seen on other front ends of Google's than Cloud Run's: strict or lenient (strict)",
  },
  {
    key: 'upstream',
    flag: 'upstream',
    argument: 'SERVICE=URL',
    shape: 'pairs',
    help: 'a service, or one of its revisions, that someone else runs; may be repeated',
  },
  {
    key: 'image',
    flag: 'image',
    argument: "NAME='COMMAND'",
    shape: 'pairs',
    help: 'a command to run as a local process where an image of this name is deployed; may be repeated',
  },
  {
    key: 'publish',
    flag: 'publish',
    argument: 'PORT=SERVICE',
    shape: 'pairs',
    help: 'a port that stands for a service, for clients that cannot name its host; may be repeated',
  },
  {
    key: 'instance',
    flag: 'instance',
    argument: 'PORT=SERVICE',
    shape: 'pairs',
    help: "a port whose callers are a service's own programs: its metadata server answers them; may be repeated",
  },
  {
    key: 'manifests',
    flag: 'manifests',
    argument: 'PATH',
    shape: 'value',
    help: 'services to deploy at start: Knative manifests, and SERVICE.policy.yaml as get-iam-policy prints it',
  },
  {
    key: 'group',
    flag: 'group',
    argument: 'EMAIL=MEMBER,…',
    shape: 'lists',
    help: 'who is in a group, such as user:a@example.com; may be repeated',
  },
  {
    key: 'domain',
    flag: 'domain',
    argument: 'DOMAIN=EMAIL,…',
    shape: 'lists',
    help: 'accounts of a domain beside those with its name; may be repeated',
  },
]

/** Too large for a flag: these stand in the file alone. */
export const FILE_SETTINGS: readonly (keyof Config)[] = ['workloadIdentityPoolProviders']

/** The environment variable of a setting. */
export function variableOf(setting: Setting): string {
  return PREFIX + setting.flag.replaceAll('-', '_').toUpperCase()
}

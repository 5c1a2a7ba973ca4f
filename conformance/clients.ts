/** The clients, and how each of their programs is made ready. */
import { join } from 'node:path'
import { CommandFailed, installed, Missing, pathOf, run, type Tool } from './install.ts'
import type { Way } from './steps.ts'

export interface Client {
  /** Part of a service's name. */
  readonly id: string
  /** Its column in docs/clients.md. */
  readonly title: string
  /** Where its program and its expectations.json are. */
  readonly folder: string
  /** False where the version is whatever the machine has. */
  readonly pinned: boolean
  /** What has to be on the machine already. */
  readonly tools: readonly Tool[]
  /** Installs the rest. @throws {Missing} for what nothing here can install */
  prepare(): Promise<Program>
}

export interface Program {
  readonly command: readonly string[]
  /** Variables beyond those of `emulator env`. */
  env(way: Way, places: Places): Promise<Readonly<Record<string, string>>>
}

export interface Places {
  readonly url: URL
  /** The emulator's certificate, and all of the machine's with it: PEM files. */
  readonly certificate: string
  /** A folder for this program's own files. */
  readonly folder: string
}

/** A library that no registry reached from here has; it is listed, with the reason. */
export interface Absent {
  readonly title: string
  readonly reason: string
}

export const ABSENT: readonly Absent[] = [
  {
    title: 'PHP google/auth',
    reason: 'it is published on Packagist only; Debian has no package of it, so CI cannot install it.',
  },
  { title: '.NET Google.Apis.Auth', reason: 'it is published on NuGet only, so CI cannot install it.' },
]

const here = (folder: string) => join(import.meta.dir, folder)
const plain = (command: readonly string[]): Program => ({ command, env: async () => ({}) })

export const CLIENTS: readonly Client[] = [
  {
    id: 'gcloud',
    title: 'gcloud',
    folder: here('gcloud'),
    pinned: false,
    tools: [{ command: 'gcloud', from: 'the Google Cloud CLI' }],
    prepare: async () => ({
      command: [process.execPath, join(here('gcloud'), 'program.ts')],
      env: async (way, { url, folder }) => ({
        CLOUDSDK_CONFIG: join(folder, 'gcloud'),
        // It reads metadata past every proxy.
        ...(way === 'intercept' ? { GCE_METADATA_ROOT: url.host } : {}),
      }),
    }),
  },
  {
    id: 'node',
    title: 'Node.js',
    folder: here('node'),
    pinned: true,
    tools: [{ command: 'node', from: 'Node.js 20 or newer' }],
    prepare: async () => plain([pathOf('node'), join(here('node'), 'program.mjs')]),
  },
  {
    id: 'bun',
    title: 'Bun',
    folder: here('bun'),
    pinned: true,
    tools: [],
    prepare: async () => plain([process.execPath, join(here('node'), 'program.mjs')]),
  },
  {
    id: 'go',
    title: 'Go',
    folder: here('go'),
    pinned: true,
    tools: [{ command: 'go', from: 'Go 1.26 or newer' }],
    prepare: prepareGo,
  },
  {
    id: 'python',
    title: 'Python',
    folder: here('python'),
    pinned: true,
    tools: [{ command: 'python3', from: 'Python 3.9 or newer' }],
    prepare: preparePython,
  },
  {
    id: 'java',
    title: 'Java',
    folder: here('java'),
    pinned: true,
    tools: [
      ...['java', 'javac', 'keytool'].map((command) => ({ command, from: 'a JDK, 17 or newer' })),
      { command: 'mvn', from: 'Maven 3.8 or newer' },
    ],
    prepare: prepareJava,
  },
  {
    id: 'ruby',
    title: 'Ruby',
    folder: here('ruby'),
    pinned: true,
    tools: [
      { command: 'ruby', from: 'the Debian package ruby' },
      ...['apt-get', 'dpkg-deb'].map((command) => ({
        command,
        from: 'the library comes as a Debian package',
      })),
    ],
    prepare: prepareRuby,
  },
]

async function prepareGo(): Promise<Program> {
  const folder = here('go')
  const files = ['main.go', 'go.mod', 'go.sum'].map((name) => join(folder, name))
  const home = await installed('go', files, (part) => run([pathOf('go'), 'build', '-o', part, '.'], folder))
  return {
    command: [join(home, 'conformance')],
    // Its metadata client reads no proxy variable.
    env: async (_way, { url }) => ({ GCE_METADATA_HOST: url.host }),
  }
}

async function preparePython(): Promise<Program> {
  const folder = here('python')
  const requirements = join(folder, 'requirements.txt')
  const home = await installed('python', [requirements], async (part) => {
    await run([pathOf('python3'), '-m', 'venv', part], folder)
    const pip = [join(part, 'bin', 'python'), '-m', 'pip', 'install', '--quiet', '--require-hashes']
    await run([...pip, '--only-binary', ':all:', '-r', requirements], folder)
  })
  return plain([join(home, 'bin', 'python'), join(folder, 'program.py')])
}

async function prepareJava(): Promise<Program> {
  const folder = here('java')
  const [pom, source] = [join(folder, 'pom.xml'), join(folder, 'Program.java')]
  const home = await installed('java', [pom, source], async (part) => {
    await run(
      [
        pathOf('mvn'),
        '--batch-mode',
        '--quiet',
        '--file',
        pom,
        'dependency:copy-dependencies',
        `-DoutputDirectory=${join(part, 'libraries')}`,
      ],
      folder,
    )
    await run([pathOf('javac'), '-d', part, '-cp', join(part, 'libraries', '*'), source], folder)
  })
  return {
    command: [pathOf('java'), '-cp', `${home}:${join(home, 'libraries', '*')}`, 'Program'],
    env: async (way, { url, certificate, folder: files }) => {
      // Java reads no proxy variable, and has a store of its own for certificates; this variable gives it both.
      const { hostname, port } = url
      const options = [
        `-Dhttp.proxyHost=${hostname}`,
        `-Dhttp.proxyPort=${port}`,
        '-Dhttp.nonProxyHosts=localhost|127.*',
        `-Dhttps.proxyHost=${hostname}`,
        `-Dhttps.proxyPort=${port}`,
      ]
      if (way === 'intercept') {
        const store = join(files, 'truststore.p12')
        await run(
          [
            pathOf('keytool'),
            '-importcert',
            '-noprompt',
            '-alias',
            'emulator',
            '-file',
            certificate,
            '-keystore',
            store,
            '-storetype',
            'PKCS12',
            '-storepass',
            'changeit',
          ],
          files,
        )
        options.push(`-Djavax.net.ssl.trustStore=${store}`, '-Djavax.net.ssl.trustStorePassword=changeit')
      }
      return { JAVA_TOOL_OPTIONS: options.join(' ') }
    },
  }
}

/** Debian 12's own package is of 2020, so those of its next release are unpacked beside it. */
async function prepareRuby(): Promise<Program> {
  const folder = here('ruby')
  const [list, script] = [join(folder, 'packages.txt'), join(folder, 'install.sh')]
  const home = await installed('ruby', [list, script], (part) =>
    run(['bash', script, list, part], folder),
  ).catch((error: unknown) => {
    throw error instanceof CommandFailed && error.output.includes(GONE)
      ? new Missing(
          `Debian no longer has a version that conformance/ruby/packages.txt names: ${error.message}`,
        )
      : error
  })
  const gems = join(home, 'usr', 'share', 'rubygems-integration', 'all')
  return {
    command: [pathOf('ruby'), join(folder, 'program.rb')],
    env: async () => ({ GEM_PATH: gems, RUBYLIB: join(home, 'usr', 'lib', 'ruby', 'vendor_ruby') }),
  }
}
/** What apt says of a version that is not in its lists. */
const GONE = 'was not found'

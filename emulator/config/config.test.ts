import { describe, expect, test } from 'bun:test'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isError } from '../errors/errors.ts'
import { readConfig } from './read.ts'
import { SETTINGS, variableOf } from './settings.ts'

function refusal(args: readonly string[], environment: Readonly<Record<string, string>> = {}): string {
  try {
    readConfig(args, environment)
  } catch (error) {
    if (isError(error, 'ERR_CONFIG')) return error.message
    throw error
  }
  throw new Error('it was accepted')
}

describe('configuration', () => {
  test('needs nothing', () => {
    expect(readConfig([], {})).toMatchObject({
      port: 8080,
      host: '127.0.0.1',
      project: 'demo-project',
      projectNumber: '123456789012',
      region: 'us-central1',
      scheme: 'http',
      upstream: {},
    })
  })

  test('takes every setting by flag and by variable, the flag winning over the variable and that over the file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'invoker-config-')), 'emulator.yaml')
    writeFileSync(
      file,
      'port: 1\nregion: europe-west1\nproject: from-file\ngroup:\n  team@example.com: [user:a@example.com]\n',
    )
    const config = readConfig(['--port', '3', `--config=${file}`], {
      INVOKER_PORT: '2',
      INVOKER_PROJECT: 'from-variable',
    })
    expect(config).toMatchObject({ port: 3, project: 'from-variable', region: 'europe-west1' })
    expect(config.group).toEqual({ 'team@example.com': ['user:a@example.com'] })
  })

  test('has a variable for every flag', () => {
    const values: Readonly<Record<string, string>> = {
      port: '0',
      host: '0.0.0.0',
      alias: 'emulator.example;ci.example',
      project: 'other-project',
      projectNumber: '210987654321',
      region: 'asia-east1',
      data: '/tmp/x',
      tlsPort: '8443',
      caDir: '/tmp/ca',
      manifests: '/tmp/services',
      instance: '9000=a',
      scheme: 'https',
      account: 'a@example.com',
      audiencePath: 'refuse',
      frontEndRules: 'lenient',
      upstream: 'a=http://x:1;b-00001-abc=http://y',
      image: 'a=sleep 1 = 2',
      publish: '8081=a',
      group: 'g@example.com=user:a@example.com,user:b@example.com',
      domain: 'example.com=a@example.org',
    }
    const environment = Object.fromEntries(
      SETTINGS.map((setting) => [variableOf(setting), values[setting.key] ?? '']),
    )
    const flags = SETTINGS.flatMap(({ flag, key }) =>
      (values[key] ?? '').split(';').flatMap((value) => [`--${flag}`, value]),
    )
    expect(readConfig([], environment)).toEqual(readConfig(flags, {}))
    expect(readConfig(flags, {})).toMatchObject({
      upstream: { a: 'http://x:1', 'b-00001-abc': 'http://y' },
      image: { a: 'sleep 1 = 2' },
      group: { 'g@example.com': ['user:a@example.com', 'user:b@example.com'] },
    })
  })

  test.each([
    [['--prot', '1'], {}, /unknown option '--prot'/],
    [['extra'], {}, /too many arguments/],
    [['--port'], {}, /--port <N>.*argument missing/],
    [['--port', 'http'], {}, /^--port: expected a port number, got "http"\.$/],
    [['--port', '70000'], {}, /^--port: expected a port from 0 to 65535, got "70000"\.$/],
    [[], { INVOKER_PORT: '-1' }, /^INVOKER_PORT: expected a port from 0 to 65535/],
    [[], { INVOKER_PROT: '1' }, /^INVOKER_PROT is not a setting\. The variables are: .*INVOKER_PORT/],
    [['--upstream', 'receiver'], {}, /^--upstream: expected SERVICE=URL, got "receiver"\.$/],
    [['--upstream', 'a=ftp://x'], {}, /^--upstream: expected an http URL, such as .*, got "ftp:\/\/x"\.$/],
    [['--upstream', 'A_b=http://x'], {}, /^--upstream: expected SERVICE=URL.*"A_b"/],
    [
      ['--upstream', 'a=http://x', '--upstream', 'b=http://x', '--upstream', 'a=http://y'],
      {},
      /^--upstream: a is given twice; expected SERVICE=URL once for each\.$/,
    ],
    [[], { INVOKER_INSTANCE: '9000=a;9000=b' }, /^INVOKER_INSTANCE: 9000 is given twice/],
    [
      ['--region', 'moon-1'],
      {},
      /^--region: expected a Cloud Run region, such as us-central1, got "moon-1"\.$/,
    ],
    [['--project', 'X'], {}, /^--project: expected a project id/],
    [['--scheme', 'gopher'], {}, /^--scheme: expected http or https/],
    [['--account', 'me'], {}, /^--account: expected an email address, got "me"\.$/],
    [['--config', '/nowhere.yaml'], {}, /^The configuration file \/nowhere\.yaml cannot be used: ENOENT/],
  ] as const)('refuses %p %p in one line that says what was expected', (args, environment, sentence) => {
    const message = refusal(args, environment)
    expect(message).toMatch(sentence)
    expect(message).not.toContain('\n')
  })

  test('refuses an unknown name in the file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'invoker-config-')), 'emulator.yaml')
    writeFileSync(file, 'prot: 1\n')
    expect(refusal(['--config', file])).toMatch(/^prot is not a setting\. The settings are: port, .*host, /)
  })
})

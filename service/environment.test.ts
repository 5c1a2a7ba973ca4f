import { expect, test } from 'bun:test'
import { z } from 'zod'
import { ConfigError, httpUrl, platformSettings, readSettings } from './environment.ts'

const shape = {
  ...platformSettings,
  DEMO_MODE: z.enum(['on', 'off']).default('off').meta({ expected: 'on or off', mend: 'Leave it out.' }),
  DEMO_URL: httpUrl.optional().meta({ expected: 'a URL', mend: 'Unset it.' }),
}
const read = (env: Record<string, string>) => readSettings(env, ['DEMO_'], shape)

test('facts 1.8: the port is 8080 unless PORT says otherwise', () => {
  expect(read({}).PORT).toBe(8080)
  expect(read({ PORT: '3000' }).PORT).toBe(3000)
})

test('variables of others are left alone', () => {
  expect(read({ HOME: '/root', DEMOGRAPHY: 'x' }).DEMO_MODE).toBe('off')
})

test('a mistyped name is an error, not a default', () => {
  expect(() => read({ DEMO_MOED: 'on' })).toThrow(
    'DEMO_MOED is not a setting; expected one of DEMO_MODE, DEMO_URL. Correct the name, or unset it.',
  )
})

test('a bad value is one line: what was wrong, what was expected, how to mend it', () => {
  expect(() => read({ DEMO_MODE: 'yes' })).toThrow(
    new ConfigError('DEMO_MODE is "yes"; expected on or off. Leave it out.'),
  )
})

test('a value with a line break still makes one line', () => {
  expect(() => read({ DEMO_MODE: 'o\nn' })).toThrow('DEMO_MODE is "o\\nn"; expected')
})

test('an empty value is an error: it must not switch a setting off silently', () => {
  expect(() => read({ DEMO_MODE: '' })).toThrow('DEMO_MODE is empty; expected on or off')
})

test.each(['http://user:secret@host/', 'http://host/#part', 'ftp://host/', 'host', '/path'])(
  'not a URL to call: %p',
  (url) => {
    expect(() => read({ DEMO_URL: url })).toThrow('DEMO_URL is')
  },
)

test('a password in a URL is not repeated', () => {
  expect(() => read({ DEMO_URL: 'http://user:secret@host/' })).toThrow(/^(?!.*secret)/)
})

test.each(['', '-1', '65536', '80.5', '0x50', ' 80', '1e3'])('not a port: %p', (port) => {
  expect(() => read({ PORT: port })).toThrow('PORT is')
})

test('variables that Kubernetes sets for a Service called demo are not mistaken for settings', () => {
  const links = {
    DEMO_SERVICE_HOST: '10.0.0.1',
    DEMO_SERVICE_PORT: '80',
    DEMO_SERVICE_PORT_HTTP: '80',
    DEMO_PORT: 'tcp://10.0.0.1:80',
    DEMO_PORT_80_TCP: 'tcp://10.0.0.1:80',
    DEMO_PORT_80_TCP_PROTO: 'tcp',
    DEMO_PORT_80_TCP_PORT: '80',
    DEMO_PORT_80_TCP_ADDR: '10.0.0.1',
  }
  expect(read(links).DEMO_MODE).toBe('off')
  expect(() => read({ DEMO_PORT: '9000' })).toThrow('DEMO_PORT is not a setting')
})

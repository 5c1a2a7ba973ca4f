import { describe, expect, test } from 'bun:test'
import { endpointOverrides } from '../catalogue/apis.ts'
import { catalogue } from '../products/catalogue.ts'
import { trustFiles } from '../trust.ts'
import { type EnvironmentRequest, environmentFor } from './environment.ts'

const trust = trustFiles('/own')
const places = { configuration: '/own/gcloud', trust }

const ENDPOINTS = endpointOverrides(catalogue)

function environment(changes: Partial<EnvironmentRequest> = {}) {
  return environmentFor({
    mode: 'intercept',
    url: new URL('http://127.0.0.1:8080'),
    facts: { scheme: 'http', endpoints: ENDPOINTS },
    places,
    metadata: false,
    java: false,
    platform: 'linux',
    current: {},
    ...changes,
  })
}

describe('intercept', () => {
  test('facts gcloud 1: both CA variables of gcloud, and no endpoint override', () => {
    const { set } = environment()
    expect(set).toMatchObject({
      https_proxy: 'http://127.0.0.1:8080',
      http_proxy: 'http://127.0.0.1:8080',
      no_proxy: 'localhost,127.0.0.1,::1',
      REQUESTS_CA_BUNDLE: trust.bundle,
      CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE: trust.bundle,
    })
    expect(Object.keys(set).filter((name) => name.includes('OVERRIDES') || name.includes('AUTH'))).toEqual([])
  })

  test('a variable that adds a certificate names ours alone, one that replaces them names all', () => {
    const { set } = environment()
    expect(set.NODE_EXTRA_CA_CERTS).toBe(trust.certificate)
    for (const name of ['SSL_CERT_FILE', 'CURL_CA_BUNDLE', 'REQUESTS_CA_BUNDLE'])
      expect(set[name]).toBe(trust.bundle)
    expect(set).not.toHaveProperty('NIX_SSL_CERT_FILE')
    expect(environment({ current: { NIX_SSL_CERT_FILE: '/etc/x.pem' } }).set.NIX_SSL_CERT_FILE).toBe(
      trust.bundle,
    )
  })

  test('an override that the shell had is taken away', () => {
    const current = { CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN: 'http://elsewhere/' }
    expect(environment({ current }).unset).toContain('CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN')
  })
})

describe('override', () => {
  test('facts gcloud 1: Cloud Run goes by proxy under its own name, the others directly', () => {
    const { set } = environment({ mode: 'override' })
    expect(set).toMatchObject({
      CLOUDSDK_API_ENDPOINT_OVERRIDES_RUN: 'http://run.googleapis.com/',
      CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS: 'http://127.0.0.1:8080/',
      CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING: 'http://127.0.0.1:8080/',
      http_proxy: 'http://127.0.0.1:8080',
    })
  })

  test('facts gcloud 2: signing in needs its hosts, and oauthlib to take plain HTTP', () => {
    expect(environment({ mode: 'override' }).set).toMatchObject({
      CLOUDSDK_AUTH_AUTH_HOST: 'http://127.0.0.1:8080/o/oauth2/auth',
      CLOUDSDK_AUTH_TOKEN_HOST: 'http://127.0.0.1:8080/token',
      OAUTHLIB_INSECURE_TRANSPORT: '1',
    })
  })

  test('leaves https alone, unless the URLs of services are https', () => {
    expect(environment({ mode: 'override' }).set).not.toHaveProperty('https_proxy')
    expect(environment({ mode: 'override' }).set).not.toHaveProperty('SSL_CERT_FILE')
    const https = environment({ mode: 'override', facts: { scheme: 'https', endpoints: ENDPOINTS } }).set
    expect(https).toMatchObject({ https_proxy: 'http://127.0.0.1:8080', CURL_CA_BUNDLE: trust.bundle })
  })
})

describe('either way', () => {
  test('facts gcloud 2: a configuration folder of its own, and a browser that gcloud does not wait for', () => {
    for (const mode of ['intercept', 'override'] as const) {
      expect(environment({ mode }).set).toMatchObject({
        CLOUDSDK_CONFIG: places.configuration,
        BROWSER: 'curl -sL -o /dev/null %s &',
        DISPLAY: ':0',
      })
    }
    expect(environment({ current: { WAYLAND_DISPLAY: 'wayland-0' } }).set).not.toHaveProperty('DISPLAY')
    expect(environment({ platform: 'darwin' }).set).not.toHaveProperty('DISPLAY')
  })

  test("a person's own credentials are not handed to the emulator", () => {
    const { set, unset } = environment()
    expect(set.GOOGLE_APPLICATION_CREDENTIALS).toBe('/own/gcloud/application_default_credentials.json')
    expect(unset).toContain('CLOUDSDK_AUTH_ACCESS_TOKEN_FILE')
    expect(unset).toContain('CLOUDSDK_CORE_ACCOUNT')
  })

  test('another person signs in where one is named', () => {
    const { BROWSER } = environment({ account: 'a+b@example.com' }).set
    expect(BROWSER).toBe('curl -sL -o /dev/null %s&login_hint=a%2Bb@example.com &')
  })

  test('facts gcloud 2: gcloud takes this machine for one of the cloud only when asked to', () => {
    expect(environment().unset).toContain('GCE_METADATA_ROOT')
    const { set } = environment({ metadata: true })
    for (const name of ['HOST', 'IP', 'ROOT']) expect(set[`GCE_METADATA_${name}`]).toBe('127.0.0.1:8080')
    // A file that is not there would keep a library from the metadata server.
    expect(environment({ metadata: true }).unset).toContain('GOOGLE_APPLICATION_CREDENTIALS')
  })

  test('Java, which reads no proxy variable, is told beside what it is told already', () => {
    const { JAVA_TOOL_OPTIONS: options = '' } = environment({
      java: true,
      current: { JAVA_TOOL_OPTIONS: '-Xmx1g' },
    }).set
    expect(environment().set).not.toHaveProperty('JAVA_TOOL_OPTIONS')
    expect(options).toStartWith('-Xmx1g ')
    expect(options).toContain('-Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=8080')
    expect(options).toContain(`-Djavax.net.ssl.trustStore=${trust.javaStore}`)
    expect(environment({ java: true, mode: 'override' }).set.JAVA_TOOL_OPTIONS).not.toContain('https.')
  })

  test('an emulator on another host is asked directly', () => {
    const { set } = environment({ url: new URL('http://emulator:8080') })
    expect(set.no_proxy).toBe('localhost,127.0.0.1,::1,emulator')
    expect(set.https_proxy).toBe('http://emulator:8080')
  })
})

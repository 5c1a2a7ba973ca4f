/** A program with Google's own library, written as its documentation says and knowing nothing of an emulator: run by a test, in a process of its own. */
import { ExternalAccountClient, GoogleAuth, Impersonated, JWT } from 'google-auth-library'

const [kind = '', file = '', target = '', account = '', endpoint = ''] = process.argv.slice(2)
const scopes = ['https://www.googleapis.com/auth/cloud-platform']

console.log(JSON.stringify(await result()))

async function result(): Promise<object> {
  switch (kind) {
    case 'key-file': {
      // A key file: an access token, an ID token, and a call with one.
      const { access_token } = await new JWT({ keyFile: file, scopes }).authorize()
      const client = await new GoogleAuth({ keyFile: file }).getIdTokenClient(target)
      const { status, data } = await client.request({ url: target, validateStatus: () => true })
      return { accessToken: access_token, idToken: client.credentials.id_token, status, data }
    }
    case 'impersonated': {
      const sourceClient = await new GoogleAuth({ keyFile: file, scopes }).getClient()
      if (!(sourceClient instanceof JWT)) throw new Error('a key file makes a JWT client')
      const client = new Impersonated({
        sourceClient,
        targetPrincipal: account,
        targetScopes: scopes,
        delegates: [],
        lifetime: 600,
        ...(endpoint ? { endpoint } : {}),
      })
      const { token } = await client.getAccessToken()
      const idToken = await client.fetchIdToken(target, { includeEmail: true })
      const { signedBlob } = await client.sign('hello')
      return { accessToken: token, idToken, signedBlob }
    }
    case 'external-account': {
      const client = ExternalAccountClient.fromJSON({ ...(await Bun.file(file).json()), scopes })
      if (!client) throw new Error('the file is not of an external account')
      return { accessToken: (await client.getAccessToken()).token }
    }
    default:
      throw new Error(`unknown: ${kind}`)
  }
}

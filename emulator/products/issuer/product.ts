import type { OwnProduct } from '../../rest/product.ts'
import {
  accessTokens,
  authorizationCodes,
  refreshTokens,
  signingKeys,
  users,
} from '../../state/collections.ts'

export const issuer: OwnProduct = {
  name: 'issuer',
  api: { name: 'sts.googleapis.com', title: 'Security Token Service API', enabled: 'initially' },
  hosts: [
    'accounts.google.com',
    'oauth2.googleapis.com',
    'openidconnect.googleapis.com',
    'sts.googleapis.com',
    'sdk.cloud.google.com', // where gcloud sends a browser to show a code
  ],
  paths:
    /^\/(?:\.well-known\/openid-configuration|oauth2\/|o\/oauth2\/|token$|tokeninfo$|revoke$|v1\/(?:token|introspect|userinfo)$|(?:service_accounts|robot)\/v1\/|authcode\.html$)/,
  serves: [
    'sign-in, tokens and their revocation',
    'what a token says, and the person that it stands for',
    'Google’s public keys and those of service accounts',
    'the exchange of a federated identity’s token',
  ],
  leavesOut: ['passwords and consent: anyone may sign in', 'workforce identity federation'],
  collections: [users, accessTokens, authorizationCodes, refreshTokens, signingKeys],
  async serve({ state, log }) {
    const { createIssuer } = await import('./issuer.ts')
    return { app: createIssuer({ state, log }) }
  },
}

/** The sentences that Cloud Run writes to Cloud Logging about requests it refuses, word for word (facts 1.2). */

const READ_MORE =
  'Read more at https://cloud.google.com/run/docs/securing/authenticating Additional troubleshooting documentation can be found at: https://cloud.google.com/run/docs/troubleshooting'

export const NOT_AUTHENTICATED = `The request was not authenticated. Either allow unauthenticated invocations or set the proper Authorization header. ${READ_MORE}#unauthorized-client`

export const NOT_VERIFIED = `The request was not authorized to invoke this service. The access token could not be verified. ${READ_MORE}#401`

/** For a verified caller without the permission: the 401 sentence without its reason, as it is seen in logs; the anchor is inferred. */
export const NOT_AUTHORIZED = `The request was not authorized to invoke this service. ${READ_MORE}#unauthorized-client`

export const COULD_NOT_START = 'The request was aborted because the instance could not start successfully.'

export const CONNECTION_ERROR =
  'The request failed because either the HTTP response was malformed or connection to the instance had an error.'

/** facts 6.3: with the suffix that newer logs carry. */
export const TIMED_OUT_TEXT =
  'The request has been terminated because it has reached the maximum request timeout. To change this limit, see https://cloud.google.com/run/docs/configuring/request-timeout'

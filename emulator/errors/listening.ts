/** Why a port or an address cannot be listened on, as a person can mend it. */
import { InvokerError, reasonOf } from './errors.ts'

/** What a listener failed with; anything but the mistakes of a person as it came. */
export function listeningError(port: number, error: unknown): unknown {
  switch (error instanceof Error && 'code' in error ? error.code : undefined) {
    case 'EADDRINUSE':
      return new InvokerError(
        'ERR_LISTEN',
        `port ${port} is taken: end what listens there, or name another with --port.`,
        {
          cause: error,
        },
      )
    case 'EACCES':
    case 'EADDRNOTAVAIL':
      return new InvokerError('ERR_LISTEN', `cannot listen: ${reasonOf(error)}.`, { cause: error })
    default:
      return error
  }
}

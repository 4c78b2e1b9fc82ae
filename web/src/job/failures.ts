import type { ApiError } from '../api/client'
import type { Strings } from '../strings/strings'

const PAUSED = 'urn:facevitals:problem:queue-paused'

/** A failed call in one plain sentence with what to do. */
export function explain({ status, type, detail, retryAfterS }: ApiError, { failures }: Strings): string {
  if (type === PAUSED) return failures.paused
  switch (status) {
    case 0:
      return failures.network
    case 401:
    case 403:
      return failures.key
    case 413:
      return failures.tooLarge
    case 415:
      return failures.notVideo
    case 429:
      return failures.busy(retryAfterS)
    case 502:
    case 503:
    case 504:
      return failures.away
    default:
      return failures.other(detail ?? `HTTP ${status}`)
  }
}

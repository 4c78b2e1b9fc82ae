/** Follows a job to its end: by events, resumed where they broke off, or by polling where events do not get through. */
import { ApiError, getJob, openEvents } from './client'
import type { JobDocument, JobEvent } from './document'
import { isFinal } from './document'
import { readEvents } from './events'
import { isJobEvent, parsed } from './shape'

/** How updates arrive: `events` as they happen, `polling` at intervals, `reconnecting` not at the moment. */
export type Link = 'events' | 'polling' | 'reconnecting'

export interface Follower {
  readonly onEvent: (event: JobEvent) => void
  readonly onDocument: (document: JobDocument) => void
  readonly onLink: (link: Link) => void
}

export interface Patience {
  /** A stream without any data for this long is closed: a proxy may be buffering it. */
  readonly silenceMs: number
  /** Pause before the next attempt; doubles with every failure, up to eightfold. */
  readonly retryMs: number
  /** How long one poll waits at the gateway. */
  readonly waitS: number
}

const PATIENCE: Patience = { silenceMs: 20_000, retryMs: 500, waitS: 10 }
/** After this many streams in a row without an event, the job is polled. */
const MAX_EMPTY_STREAMS = 3

/** Resolves with the final document. Rejects if a retry can't help: unknown or erased job, missing key, abort. */
export async function follow(
  id: string,
  follower: Follower,
  signal: AbortSignal,
  patience: Patience = PATIENCE,
): Promise<JobDocument> {
  let last: string | null = null
  let failures = 0
  let emptyStreams = 0
  for (;;) {
    signal.throwIfAborted()
    try {
      if (emptyStreams < MAX_EMPTY_STREAMS) {
        const before: string | null = last
        const ended = await stream(id, last, (token) => (last = token), follower, signal, patience)
        emptyStreams = last === before ? emptyStreams + 1 : 0
        if (!ended) follower.onLink('reconnecting')
      } else {
        follower.onLink('polling')
      }
      const document = await getJob(id, signal, emptyStreams < MAX_EMPTY_STREAMS ? 0 : patience.waitS)
      follower.onDocument(document)
      if (isFinal(document.state)) return document
      failures = 0
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ApiError) || isPermanent(error)) throw error
      follower.onLink('reconnecting')
      failures = Math.min(failures + 1, 4)
    }
    await pause(patience.retryMs * 2 ** Math.max(0, failures - 1), signal)
  }
}

const isPermanent = ({ status }: ApiError): boolean => status >= 400 && status < 500 && status !== 408 && status !== 429

/** Reads one connection; true if it ended with the job. */
async function stream(
  id: string,
  after: string | null,
  onToken: (token: string) => void,
  follower: Follower,
  signal: AbortSignal,
  patience: Patience,
): Promise<boolean> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), patience.silenceMs)
  const restartTimer = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => silence.abort(), patience.silenceMs)
  }
  try {
    const response = await openEvents(id, after, AbortSignal.any([signal, silence.signal]))
    if (!response.body) return false
    for await (const { id: token, name, data } of readEvents(response.body, restartTimer)) {
      follower.onLink('events')
      if (token) onToken(token)
      const content = parsed(data)
      if (isJobEvent(name, content)) follower.onEvent({ name, data: content } as JobEvent)
      if (name === 'done') return true
    }
    return false
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ApiError && isPermanent(error)) throw error
    return false
  } finally {
    clearTimeout(timer)
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        reject(signal.reason as Error)
      },
      { once: true },
    )
  })
}

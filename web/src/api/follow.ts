/** Follows a job to its end: by events, resumed where they broke off, or by polling where events do not get through. */
import { ApiError, getJob, openEvents } from './client'
import type { BranchName, BranchReport, Check, JobDocument, JobState, Vital } from './document'
import { isFinal } from './document'
import { readEvents } from './events'
import { isJobEvent, parsed } from './shape'

export type JobEvent =
  | { readonly name: 'state'; readonly data: { state: JobState } }
  | { readonly name: 'stage'; readonly data: { branch: BranchName; stage: string; elapsed_ms: number } }
  | { readonly name: 'vital'; readonly data: { name: string; vital: Vital } }
  | { readonly name: 'check'; readonly data: { name: string; check: Check } }
  | { readonly name: 'branch'; readonly data: { branch: BranchName; report: BranchReport } }
  | { readonly name: 'done'; readonly data: { state: JobState } }

/** How news arrives: `events` as they happen, `polling` now and then, `reconnecting` not at the moment. */
export type Link = 'events' | 'polling' | 'reconnecting'

export interface Follower {
  readonly onEvent: (event: JobEvent) => void
  readonly onDocument: (document: JobDocument) => void
  readonly onLink: (link: Link) => void
}

export interface Patience {
  /** A stream that stays silent for so long is held back by something on the way. */
  readonly silenceMs: number
  /** Pause before trying again; doubles up to eight times. */
  readonly retryMs: number
  /** How long one poll waits at the gateway. */
  readonly waitS: number
}

const PATIENCE: Patience = { silenceMs: 20_000, retryMs: 500, waitS: 10 }
const FRUITLESS_STREAMS = 3

/** Resolves with the final document. Rejects with what no retry mends: unknown or erased job, missing key, abort. */
export async function follow(
  id: string,
  follower: Follower,
  signal: AbortSignal,
  patience: Patience = PATIENCE,
): Promise<JobDocument> {
  let last: string | null = null
  let failures = 0
  let fruitless = 0
  for (;;) {
    signal.throwIfAborted()
    try {
      if (fruitless < FRUITLESS_STREAMS) {
        const before: string | null = last
        const ended = await stream(id, last, (token) => (last = token), follower, signal, patience)
        fruitless = last === before ? fruitless + 1 : 0
        if (!ended) follower.onLink('reconnecting')
      } else {
        follower.onLink('polling')
      }
      const document = await getJob(id, signal, fruitless < FRUITLESS_STREAMS ? 0 : patience.waitS)
      follower.onDocument(document)
      if (isFinal(document.state)) return document
      failures = 0
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ApiError) || isHopeless(error)) throw error
      follower.onLink('reconnecting')
      failures = Math.min(failures + 1, 4)
    }
    await pause(patience.retryMs * 2 ** Math.max(0, failures - 1), signal)
  }
}

const isHopeless = ({ status }: ApiError): boolean => status >= 400 && status < 500 && status !== 408 && status !== 429

/** One connection; true when it went to the end of the job. */
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
  const heard = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => silence.abort(), patience.silenceMs)
  }
  try {
    const response = await openEvents(id, after, AbortSignal.any([signal, silence.signal]))
    if (!response.body) return false
    for await (const { id: token, name, data } of readEvents(response.body, heard)) {
      follower.onLink('events')
      if (token) onToken(token)
      const news = parsed(data)
      if (isJobEvent(name, news)) follower.onEvent({ name, data: news } as JobEvent)
      if (name === 'done') return true
    }
    return false
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof ApiError && isHopeless(error)) throw error
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

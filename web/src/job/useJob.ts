import { useCallback, useEffect, useReducer, useRef } from 'react'
import { ApiError, submit } from '../api/client'
import { follow } from '../api/follow'
import { INITIAL_VIEW, jobReducer, type JobView } from './view'

/** A clip to send, or the id of a job that has been sent already. */
export type Source = { readonly clip: Blob; readonly key: string } | { readonly id: string }

/** Sends the clip and follows the job; `again` retries after a failure. */
export function useJob(source: Source, onId: (id: string) => void): { view: JobView; again: () => void } {
  const [view, dispatch] = useReducer(jobReducer, INITIAL_VIEW)
  const [attempt, again] = useReducer((count: number) => count + 1, 0)
  const sent = useRef<string | null>(null)

  useEffect(() => {
    const leaving = new AbortController()
    const { signal } = leaving
    const run = async (): Promise<void> => {
      let id = 'id' in source ? source.id : sent.current
      dispatch({ kind: 'begin', id })
      if (id === null && 'clip' in source) {
        const onProgress = (fraction: number): void => dispatch({ kind: 'progress', fraction })
        const document = await submit(source.clip, source.key, onProgress, signal)
        id = document.id
        sent.current = id
        dispatch({ kind: 'document', document })
        onId(id)
      }
      if (id === null) return
      await follow(
        id,
        {
          onEvent: (event) => dispatch({ kind: 'event', event }),
          onDocument: (document) => dispatch({ kind: 'document', document }),
          onLink: (link) => dispatch({ kind: 'link', link }),
        },
        signal,
      )
    }
    run().catch((error: unknown) => {
      if (signal.aborted) return
      dispatch({ kind: 'failure', failure: error instanceof ApiError ? error : new ApiError(0) })
    })
    return () => leaving.abort()
  }, [source, attempt, onId])

  return { view, again: useCallback(() => again(), []) }
}

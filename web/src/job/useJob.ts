import { useCallback, useEffect, useReducer, useRef } from 'react'
import { ApiError, submit } from '../api/client'
import { follow } from '../api/follow'
import { learn, NOTHING, type JobView } from './view'

/** A clip to send, or the id of a job that has been sent already. */
export type Source = { readonly clip: Blob; readonly key: string } | { readonly id: string }

/** Sends the clip, follows the job, and tells all that is known; `again` tries anew after a failure. */
export function useJob(source: Source, onId: (id: string) => void): { view: JobView; again: () => void } {
  const [view, tell] = useReducer(learn, NOTHING)
  const [attempt, again] = useReducer((count: number) => count + 1, 0)
  const sent = useRef<string | null>(null)

  useEffect(() => {
    const leaving = new AbortController()
    const { signal } = leaving
    const run = async (): Promise<void> => {
      let id = 'id' in source ? source.id : sent.current
      tell({ kind: 'begin', id })
      if (id === null && 'clip' in source) {
        const onProgress = (fraction: number): void => tell({ kind: 'progress', fraction })
        const document = await submit(source.clip, source.key, onProgress, signal)
        id = document.id
        sent.current = id
        tell({ kind: 'document', document })
        onId(id)
      }
      if (id === null) return
      await follow(
        id,
        {
          onEvent: (event) => tell({ kind: 'event', event }),
          onDocument: (document) => tell({ kind: 'document', document }),
          onLink: (link) => tell({ kind: 'link', link }),
        },
        signal,
      )
    }
    run().catch((error: unknown) => {
      if (signal.aborted) return
      tell({ kind: 'failure', failure: error instanceof ApiError ? error : new ApiError(0) })
    })
    return () => leaving.abort()
  }, [source, attempt, onId])

  return { view, again: useCallback(() => again(), []) }
}

/** What is known of a job so far, and how each piece of news changes it. */
import type { ApiError } from '../api/client'
import type { BranchName, JobDocument } from '../api/document'
import { isFinal } from '../api/document'
import type { JobEvent, Link } from '../api/follow'

export interface JobView {
  readonly id: string | null
  /** Fraction of the clip sent; null once the gateway has it. */
  readonly uploaded: number | null
  readonly document: JobDocument | null
  readonly stages: Partial<Readonly<Record<BranchName, string>>>
  readonly link: Link
  /** Why it can't go on. */
  readonly failure: ApiError | null
}

export type News =
  | { readonly kind: 'begin'; readonly id: string | null }
  | { readonly kind: 'progress'; readonly fraction: number }
  | { readonly kind: 'document'; readonly document: JobDocument }
  | { readonly kind: 'event'; readonly event: JobEvent }
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'failure'; readonly failure: ApiError }

export const NOTHING: JobView = { id: null, uploaded: 0, document: null, stages: {}, link: 'events', failure: null }

export function learn(view: JobView, news: News): JobView {
  switch (news.kind) {
    case 'begin':
      return { ...NOTHING, id: news.id, uploaded: news.id ? null : 0 }
    case 'progress':
      return { ...view, uploaded: news.fraction }
    case 'document':
      return { ...view, id: news.document.id, uploaded: null, document: merge(view.document, news.document) }
    case 'event':
      return hear(view, news.event)
    case 'link':
      return view.link === news.link ? view : { ...view, link: news.link }
    case 'failure':
      return { ...view, failure: news.failure }
  }
}

/** A document asked for while the job runs may know less than the events did. */
function merge(known: JobDocument | null, news: JobDocument): JobDocument {
  if (!known || isFinal(news.state)) return news
  return {
    ...news,
    branches: { ...known.branches, ...news.branches },
    checks: { ...known.checks, ...news.checks },
    vitals: { ...known.vitals, ...news.vitals },
  }
}

function hear(view: JobView, event: JobEvent): JobView {
  const { document } = view
  if (!document) return view
  switch (event.name) {
    case 'state':
      // The final state comes with the final document, lest a finished job lack vitals for a moment.
      return isFinal(event.data.state) ? view : { ...view, document: { ...document, state: event.data.state } }
    case 'stage':
      return { ...view, stages: { ...view.stages, [event.data.branch]: event.data.stage } }
    case 'vital':
      return { ...view, document: { ...document, vitals: { ...document.vitals, [event.data.name]: event.data.vital } } }
    case 'check':
      return { ...view, document: { ...document, checks: { ...document.checks, [event.data.name]: event.data.check } } }
    case 'branch':
      return {
        ...view,
        document: { ...document, branches: { ...document.branches, [event.data.branch]: event.data.report } },
      }
    default:
      return view
  }
}

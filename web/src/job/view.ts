/** The state of a job's screen, and the reducer that updates it. */
import type { ApiError } from '../api/client'
import type { BranchName, JobDocument, JobEvent } from '../api/document'
import { isFinal } from '../api/document'
import type { Link } from '../api/follow'

export interface JobView {
  readonly id: string | null
  /** Fraction of the clip sent; null once the gateway has it. */
  readonly uploaded: number | null
  readonly document: JobDocument | null
  readonly stages: Partial<Readonly<Record<BranchName, string>>>
  readonly link: Link
  /** The failure that stopped it. */
  readonly failure: ApiError | null
}

export type JobAction =
  | { readonly kind: 'begin'; readonly id: string | null }
  | { readonly kind: 'progress'; readonly fraction: number }
  | { readonly kind: 'document'; readonly document: JobDocument }
  | { readonly kind: 'event'; readonly event: JobEvent }
  | { readonly kind: 'link'; readonly link: Link }
  | { readonly kind: 'failure'; readonly failure: ApiError }

export const INITIAL_VIEW: JobView = {
  id: null,
  uploaded: 0,
  document: null,
  stages: {},
  link: 'events',
  failure: null,
}

export function jobReducer(view: JobView, action: JobAction): JobView {
  switch (action.kind) {
    case 'begin':
      return { ...INITIAL_VIEW, id: action.id, uploaded: action.id ? null : 0 }
    case 'progress':
      return { ...view, uploaded: action.fraction }
    case 'document':
      return { ...view, id: action.document.id, uploaded: null, document: merge(view.document, action.document) }
    case 'event':
      return applyEvent(view, action.event)
    case 'link':
      return view.link === action.link ? view : { ...view, link: action.link }
    case 'failure':
      return { ...view, failure: action.failure }
  }
}

/** A document that was requested while the job runs may have less than the events had. */
function merge(known: JobDocument | null, received: JobDocument): JobDocument {
  if (!known || isFinal(received.state)) return received
  return {
    ...received,
    branches: { ...known.branches, ...received.branches },
    checks: { ...known.checks, ...received.checks },
    vitals: { ...known.vitals, ...received.vitals },
  }
}

function applyEvent(view: JobView, event: JobEvent): JobView {
  const { document } = view
  if (!document) return view
  switch (event.name) {
    case 'state':
      // The final state comes with the final document, so that a finished job never lacks vitals.
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

import { describe, expect, it } from 'vitest'
import type { JobDocument, Vital } from '../api/document'
import succeeded from '../fixtures/succeeded.json'
import { INITIAL_VIEW, jobReducer, type JobView } from './view'

const DONE = succeeded as unknown as JobDocument
const QUEUED: JobDocument = { ...DONE, state: 'queued', finished_at: null, vitals: {}, checks: {} }
const HEART = DONE.vitals.heart_rate as Vital
const queued = jobReducer(INITIAL_VIEW, { kind: 'document', document: QUEUED })

const apply = (view: JobView, name: string, data: object): JobView =>
  jobReducer(view, { kind: 'event', event: { name, data } as never })

describe('the reducer of a job', () => {
  it('holds the fraction sent until the gateway has the clip', () => {
    expect(jobReducer(INITIAL_VIEW, { kind: 'progress', fraction: 0.5 }).uploaded).toBe(0.5)
    expect(queued.uploaded).toBeNull()
  })

  it('adds what every event reports', () => {
    let view = apply(queued, 'state', { state: 'running' })
    view = apply(view, 'stage', { branch: 'rppg', stage: 'traces', elapsed_ms: 10 })
    view = apply(view, 'vital', { name: 'heart_rate', vital: HEART })
    view = apply(view, 'check', { name: 'face', check: DONE.checks.face as object })
    expect(view.document?.state).toBe('running')
    expect(view.stages.rppg).toBe('traces')
    expect(view.document?.vitals.heart_rate).toEqual(HEART)
    expect(view.document?.checks.face?.status).toBe('pass')
  })

  it('keeps a vital when an older document arrives', () => {
    const view = apply(queued, 'vital', { name: 'heart_rate', vital: HEART })
    const after = jobReducer(view, { kind: 'document', document: { ...QUEUED, state: 'running' } })
    expect(after.document?.vitals.heart_rate).toEqual(HEART)
  })

  it('is replaced by the final document', () => {
    const view = apply(queued, 'vital', { name: 'heart_rate', vital: { ...HEART, value: 1 } })
    expect(jobReducer(view, { kind: 'document', document: DONE }).document).toEqual(DONE)
  })

  it('is not final before the final document arrives', () => {
    expect(apply(queued, 'state', { state: 'succeeded' }).document?.state).toBe('queued')
    expect(apply(queued, 'done', { state: 'succeeded' }).document?.state).toBe('queued')
  })

  it('ignores unknown events', () => {
    expect(apply(queued, 'weather', { sun: true })).toEqual(queued)
  })
})

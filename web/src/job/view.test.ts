import { describe, expect, it } from 'vitest'
import type { JobDocument, Vital } from '../api/document'
import succeeded from '../fixtures/succeeded.json'
import { learn, NOTHING, type JobView } from './view'

const DONE = succeeded as unknown as JobDocument
const QUEUED: JobDocument = { ...DONE, state: 'queued', finished_at: null, vitals: {}, checks: {} }
const HEART = DONE.vitals.heart_rate as Vital
const queued = learn(NOTHING, { kind: 'document', document: QUEUED })

const hear = (view: JobView, name: string, data: object): JobView =>
  learn(view, { kind: 'event', event: { name, data } as never })

describe('what is known of a job', () => {
  it('is how much has been sent, until the gateway has it', () => {
    expect(learn(NOTHING, { kind: 'progress', fraction: 0.5 }).uploaded).toBe(0.5)
    expect(queued.uploaded).toBeNull()
  })

  it('grows with every event', () => {
    let view = hear(queued, 'state', { state: 'running' })
    view = hear(view, 'stage', { branch: 'rppg', stage: 'traces', elapsed_ms: 10 })
    view = hear(view, 'vital', { name: 'heart_rate', vital: HEART })
    view = hear(view, 'check', { name: 'face', check: DONE.checks.face as object })
    expect(view.document?.state).toBe('running')
    expect(view.stages.rppg).toBe('traces')
    expect(view.document?.vitals.heart_rate).toEqual(HEART)
    expect(view.document?.checks.face?.status).toBe('pass')
  })

  it('does not forget a vital when a document that knows less arrives', () => {
    const view = hear(queued, 'vital', { name: 'heart_rate', vital: HEART })
    const after = learn(view, { kind: 'document', document: { ...QUEUED, state: 'running' } })
    expect(after.document?.vitals.heart_rate).toEqual(HEART)
  })

  it('is what the final document says, and nothing else', () => {
    const view = hear(queued, 'vital', { name: 'heart_rate', vital: { ...HEART, value: 1 } })
    expect(learn(view, { kind: 'document', document: DONE }).document).toEqual(DONE)
  })

  it('is not final before the final document is there', () => {
    expect(hear(queued, 'state', { state: 'succeeded' }).document?.state).toBe('queued')
    expect(hear(queued, 'done', { state: 'succeeded' }).document?.state).toBe('queued')
  })

  it('ignores events of a kind that it does not know', () => {
    expect(hear(queued, 'weather', { sun: true })).toEqual(queued)
  })
})

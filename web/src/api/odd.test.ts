import { afterEach, describe, expect, it, vi } from 'vitest'
import succeeded from '../fixtures/succeeded.json'
import waveforms from '../fixtures/waveforms.json'
import { ApiError, erase, getFhir, getJob, getWaveforms, submit } from './client'
import type { JobDocument, JobEvent } from './document'
import { follow } from './follow'

const DONE = succeeded as unknown as JobDocument
const HASTE = { silenceMs: 60, retryMs: 1, waitS: 0 }
const staying = new AbortController().signal

afterEach(() => vi.unstubAllGlobals())

/** What a captive portal, a proxy or a broken connection puts in place of an answer, under a status of success. */
const ODD: readonly [string, string][] = [
  ['a page', '<!doctype html><title>Sign in</title>'],
  ['nothing', ''],
  ['half an answer', JSON.stringify(DONE).slice(0, 300)],
  ['null', 'null'],
  ['a list', '[]'],
  ['a text', '"ok"'],
  ['an empty object', '{}'],
  ['no state', JSON.stringify({ ...DONE, state: undefined })],
  ['no id', JSON.stringify({ ...DONE, id: 7 })],
  ['vitals that are none', JSON.stringify({ ...DONE, vitals: { heart_rate: null } })],
  ['a value of another kind', JSON.stringify({ ...DONE, vitals: { heart_rate: { status: 'ok', value: [1] } } })],
  ['checks that are none', JSON.stringify({ ...DONE, checks: 'pass' })],
  ['an error that is none', JSON.stringify({ ...DONE, error: 'clip_undecodable' })],
]
const ODD_WAVES: readonly [string, string][] = [
  ...ODD,
  ['waves that are none', JSON.stringify({ ...waveforms, waves: { heart_rate: {} } })],
  ['spectra that are none', JSON.stringify({ ...waveforms, spectra: null })],
]

const answering = (...bodies: readonly BodyInit[]): void => {
  let next = 0
  vi.stubGlobal('fetch', async () => new Response(bodies[Math.min(next++, bodies.length - 1)], { status: 200 }))
}
const failure = (call: Promise<unknown>): Promise<unknown> => call.catch((error: unknown) => error)
const UNREACHED = { name: 'ApiError', status: 0 }

/** A body that ends before its end. */
const breaking = (): ReadableStream =>
  new ReadableStream({
    start: (controller) => {
      controller.enqueue(new TextEncoder().encode('{"id": "x", '))
      controller.error(new TypeError('connection lost'))
    },
  })

describe('an answer that is none', () => {
  it.each(ODD)('to a question for the job is a gateway that was not reached: %s', async (_, body) => {
    answering(body)
    expect(await failure(getJob('x', staying))).toMatchObject(UNREACHED)
  })

  it.each(ODD_WAVES)('to a question for the waves too: %s', async (_, body) => {
    answering(body)
    expect(await failure(getWaveforms('x', staying))).toMatchObject(UNREACHED)
  })

  it.each(ODD)('is no FHIR bundle: %s', async (_, body) => {
    answering(body)
    expect(await failure(getFhir('x', staying))).toMatchObject(UNREACHED)
  })

  it('may break off in the middle', async () => {
    for (const call of [getJob, getWaveforms, getFhir]) {
      vi.stubGlobal('fetch', async () => new Response(breaking(), { status: 200 }))
      expect(await failure(call('x', staying))).toMatchObject(UNREACHED)
    }
    vi.stubGlobal('fetch', async () => new Response(breaking(), { status: 503 }))
    expect(await failure(getJob('x', staying))).toMatchObject({ name: 'ApiError', status: 503 })
  })

  it.each(ODD)('to an upload ends it, so that it can be sent again: %s', async (_, body) => {
    class Upload {
      status = 202
      responseText = body
      upload = {}
      onload = (): void => {}
      open = (): void => {}
      setRequestHeader = (): void => {}
      getResponseHeader = (): null => null
      send = (): void => void setTimeout(() => this.onload())
    }
    vi.stubGlobal('XMLHttpRequest', Upload)
    expect(await failure(submit(new Blob(['clip']), 'key', () => {}, staying))).toMatchObject(UNREACHED)
  })

  it('to a deletion has deleted nothing', async () => {
    answering('<!doctype html><title>Sign in</title>')
    expect(await failure(erase('x'))).toMatchObject(UNREACHED)
  })

  it.each(ODD)('is passed over while a job is followed: %s', async (_, body) => {
    const events: JobEvent[] = []
    const follower = { onEvent: (event: JobEvent) => events.push(event), onDocument: () => {}, onLink: () => {} }
    answering(body, body, body, body, JSON.stringify(DONE), JSON.stringify(DONE))
    expect((await follow('x', follower, staying, HASTE)).state).toBe('succeeded')
    expect(events).toEqual([])
  })

  it.each(['null', '[]', '7', '{}', '{"name":', '<p>', '{"name":"heart_rate","vital":null}', '{"branch":"rppg"}'])(
    'is no event: %s',
    async (data) => {
      const events: JobEvent[] = []
      const follower = { onEvent: (event: JobEvent) => events.push(event), onDocument: () => {}, onLink: () => {} }
      const stream = ['state', 'stage', 'vital', 'check', 'branch', 'news'].map(
        (name, i) => `id: ${i}-0\nevent: ${name}\ndata: ${data}\n\n`,
      )
      const good = 'id: 9-0\nevent: state\ndata: {"state":"running"}\n\nid: 10-0\nevent: done\ndata: {}\n\n'
      answering(stream.join('') + good, JSON.stringify(DONE))
      await follow('x', follower, staying, HASTE)
      expect(events.map(({ name }) => name)).toEqual(['state', 'done'])
    },
  )

  it.each(['null', '[]', '"no"', '<p>no</p>', '{"detail":{"a":1},"type":7}'])(
    'explains no refusal: %s',
    async (body) => {
      const headers = { 'Retry-After': 'Wed, 21 Oct 2026 07:28:00 GMT' }
      vi.stubGlobal('fetch', async () => new Response(body, { status: 429, headers }))
      const refused = { status: 429, type: null, detail: null, retryAfterS: null }
      expect(await failure(getJob('x', staying))).toMatchObject(refused)
      expect(await failure(getJob('x', staying))).toBeInstanceOf(ApiError)
    },
  )
})

import { afterEach, describe, expect, it, vi } from 'vitest'
import succeeded from '../fixtures/succeeded.json'
import { ApiError } from './client'
import type { JobDocument, JobEvent } from './document'
import { follow, type Follower, type Link } from './follow'

const DONE = succeeded as unknown as JobDocument
const RUNNING: JobDocument = { ...DONE, state: 'running', finished_at: null, vitals: {} }
const HASTE = { silenceMs: 60, retryMs: 1, waitS: 0 }

afterEach(() => vi.unstubAllGlobals())

/** A gateway whose answers are made one by one; `requests` records what was sent. */
function gateway(answers: readonly ((signal?: AbortSignal | null) => Response | Promise<Response>)[]) {
  const requests: { path: string; after: string | null }[] = []
  let next = 0
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    requests.push({ path, after: new Headers(init.headers).get('Last-Event-ID') })
    const answer = answers[Math.min(next++, answers.length - 1)]
    if (!answer) throw new TypeError('no answer')
    const waiting = new Promise<never>((_, reject) => {
      init.signal?.addEventListener('abort', () => reject(new DOMException('aborted', 'AbortError')))
    })
    return Promise.race([Promise.resolve().then(() => answer(init.signal)), waiting])
  })
  return requests
}

function listener() {
  const events: JobEvent[] = []
  const links: Link[] = []
  const follower: Follower = {
    onEvent: (event) => events.push(event),
    onDocument: () => {},
    onLink: (link) => links.push(link),
  }
  return { events, links, follower }
}

const sse =
  (...lines: string[]) =>
  () =>
    new Response(lines.join(''), { headers: { 'Content-Type': 'text/event-stream' } })
const event = (id: number, name: string, data: object): string =>
  `id: ${id}-0\nevent: ${name}\ndata: ${JSON.stringify(data)}\n\n`
const document = (state: JobDocument) => () => Response.json(state)
const broken = () => {
  throw new TypeError('connection refused')
}

describe('following a job', () => {
  it('reports events and ends with the document', async () => {
    gateway([sse(event(1, 'state', { state: 'running' }), event(2, 'done', { state: 'succeeded' })), document(DONE)])
    const { events, follower } = listener()
    const found = await follow('x', follower, new AbortController().signal, HASTE)
    expect(found.vitals.heart_rate?.value).toBe(72.4)
    expect(events.map(({ name }) => name)).toEqual(['state', 'done'])
  })

  it('goes on after the last event when the stream breaks off', async () => {
    const requests = gateway([
      sse(event(1, 'state', { state: 'running' })),
      document(RUNNING),
      sse(event(2, 'done', { state: 'succeeded' })),
      document(DONE),
    ])
    const { events, links, follower } = listener()
    await follow('x', follower, new AbortController().signal, HASTE)
    expect(requests.map(({ after }) => after)).toEqual([null, null, '1-0', null])
    expect(events).toHaveLength(2)
    expect(links).toContain('reconnecting')
  })

  it('goes on when the server is away for a while', async () => {
    gateway([broken, broken, broken, broken, sse(event(1, 'done', { state: 'succeeded' })), document(DONE)])
    const { links, follower } = listener()
    await follow('x', follower, new AbortController().signal, HASTE)
    expect(links).toContain('reconnecting')
    expect(links.at(-1)).toBe('events')
  })

  it('polls where events are held back', async () => {
    const silent = (signal?: AbortSignal | null) =>
      new Response(
        new ReadableStream({
          start: (controller) => signal?.addEventListener('abort', () => controller.error(new Error('aborted'))),
        }),
      )
    gateway([silent, document(RUNNING), silent, document(RUNNING), silent, document(RUNNING), document(DONE)])
    const { links, follower } = listener()
    const found = await follow('x', follower, new AbortController().signal, HASTE)
    expect(found.state).toBe('succeeded')
    expect(links.at(-1)).toBe('polling')
  })

  it('gives up on a job that is gone', async () => {
    gateway([() => new Response('{"type":"unknown-job","detail":"gone"}', { status: 404 })])
    const { follower } = listener()
    const lost = follow('x', follower, new AbortController().signal, HASTE)
    await expect(lost).rejects.toSatisfy((error: unknown) => error instanceof ApiError && error.status === 404)
  })

  it('stops when the page leaves', async () => {
    gateway([() => new Promise<Response>(() => {})])
    const leaving = new AbortController()
    const { follower } = listener()
    const left = follow('x', follower, leaving.signal, { ...HASTE, silenceMs: 10_000 })
    leaving.abort()
    await expect(left).rejects.toThrow()
  })
})

import { afterEach, describe, expect, it, vi } from 'vitest'
import succeeded from '../fixtures/succeeded.json'
import { ApiError, erase, getJob, newKey } from './client'
import { rememberKey } from './key'

afterEach(() => {
  vi.unstubAllGlobals()
  sessionStorage.clear()
})

const answer = (response: () => Response) => {
  const fetched = vi.fn(async (_path: string, _init: RequestInit) => response())
  vi.stubGlobal('fetch', fetched)
  return fetched
}

describe('the client', () => {
  it('reports the problem that the gateway answered', async () => {
    answer(
      () =>
        new Response('{"type":"/problems/queue-full","detail":"Full."}', {
          status: 429,
          headers: { 'Retry-After': '10' },
        }),
    )
    const failure = await getJob('x', new AbortController().signal).catch((error: unknown) => error)
    expect(failure).toMatchObject({ status: 429, detail: 'Full.', retryAfterS: 10 })
  })

  it('distinguishes a gateway that is unreachable from one that refuses', async () => {
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('refused')))
    const failure = await getJob('x', new AbortController().signal).catch((error: unknown) => error)
    expect(failure).toMatchObject({ status: 0 })
  })

  it('counts a job that is gone already as erased', async () => {
    answer(() => new Response('{}', { status: 404 }))
    await expect(erase('x')).resolves.toBeUndefined()
    answer(() => new Response('{}', { status: 503 }))
    await expect(erase('x')).rejects.toBeInstanceOf(ApiError)
  })

  it('never uses an idempotency key twice', () => {
    expect(newKey()).toMatch(/^[0-9a-f]{32}$/)
    expect(newKey()).not.toBe(newKey())
  })

  it('sends the access key that was given in this tab', async () => {
    const fetched = answer(() => Response.json(succeeded))
    rememberKey(' secret ')
    await getJob('x', new AbortController().signal)
    expect(new Headers(fetched.mock.calls[0]?.[1].headers).get('Authorization')).toBe('Bearer secret')
  })
})

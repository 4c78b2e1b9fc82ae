/** Calls to the gateway. Every failure is an `ApiError`. */
import type { JobDocument, Waveforms } from './document'
import { authorization } from './key'

/** What the gateway said (RFC 9457), or `status` 0 where it could not be reached. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly type: string | null = null,
    readonly detail: string | null = null,
    readonly retryAfterS: number | null = null,
  ) {
    super(detail ?? `HTTP ${status}`)
    this.name = 'ApiError'
  }
}

/** A fresh idempotency key; `crypto.randomUUID` is missing where a page is not served securely. */
export function newKey(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('')
}

const job = (id: string): string => `/v1/jobs/${encodeURIComponent(id)}`

/** Uploads a clip; `onProgress` hears the fraction sent. The same `idempotencyKey` never makes a second job. */
export function submit(
  clip: Blob,
  idempotencyKey: string,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<JobDocument> {
  // XMLHttpRequest, because fetch tells nothing about how much of a body has been sent.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', '/v1/jobs')
    request.setRequestHeader('Content-Type', clip.type || 'application/octet-stream')
    request.setRequestHeader('Idempotency-Key', idempotencyKey)
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value)
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0)
    request.onload = () => {
      if (request.status === 202 || request.status === 200) resolve(JSON.parse(request.responseText) as JobDocument)
      else reject(problem(request.status, request.responseText, request.getResponseHeader('Retry-After')))
    }
    request.onerror = () => reject(new ApiError(0))
    request.onabort = () => reject(new DOMException('the upload was cancelled', 'AbortError'))
    signal.addEventListener('abort', () => request.abort(), { once: true })
    request.send(clip)
  })
}

/** The document now, or as soon as it is final, at most `waitS` seconds later. */
export async function getJob(id: string, signal: AbortSignal, waitS = 0): Promise<JobDocument> {
  const headers = waitS ? { Prefer: `wait=${waitS}` } : {}
  const response = await call(job(id), { signal, headers })
  return (await response.json()) as JobDocument
}

export async function getWaveforms(id: string, signal: AbortSignal): Promise<Waveforms> {
  const response = await call(`${job(id)}/waveforms`, { signal })
  return (await response.json()) as Waveforms
}

export async function getFhir(id: string, signal: AbortSignal): Promise<Blob> {
  const response = await call(`${job(id)}/fhir`, { signal })
  return response.blob()
}

/** Cancels and erases the job; one that is gone already counts as erased. */
export async function erase(id: string): Promise<void> {
  try {
    await call(job(id), { method: 'DELETE' })
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) throw error
  }
}

export async function openEvents(id: string, after: string | null, signal: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'text/event-stream' }
  if (after) headers['Last-Event-ID'] = after
  return call(`${job(id)}/events`, { signal, headers, cache: 'no-store' })
}

async function call(url: string, init: RequestInit): Promise<Response> {
  let response: Response
  try {
    response = await fetch(url, { ...init, headers: { ...init.headers, ...authorization() } })
  } catch (error) {
    if (init.signal?.aborted) throw error
    throw new ApiError(0)
  }
  if (!response.ok) throw problem(response.status, await response.text(), response.headers.get('Retry-After'))
  return response
}

function problem(status: number, body: string, retryAfter: string | null): ApiError {
  const seconds = retryAfter === null ? null : Number(retryAfter)
  try {
    const { type, detail } = JSON.parse(body) as { type?: string; detail?: string }
    return new ApiError(status, type ?? null, detail ?? null, seconds)
  } catch {
    return new ApiError(status, null, null, seconds)
  }
}

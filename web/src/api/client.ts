/** Calls to the gateway. Every failure is an `ApiError`, including a response that is not the gateway's. */
import type { JobDocument, Waveforms } from './document'
import { authorization } from './key'
import { isBundle, isJobDocument, isWaveforms, parsed } from './shape'

/** The gateway's problem (RFC 9457); `status` 0 if it could not be reached or something else answered in its place. */
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

/** Uploads a clip; `onProgress` gets the fraction sent. The same `idempotencyKey` never makes a second job. */
export function submit(
  clip: Blob,
  idempotencyKey: string,
  onProgress: (fraction: number) => void,
  signal: AbortSignal,
): Promise<JobDocument> {
  // XMLHttpRequest, because fetch does not report upload progress.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', '/v1/jobs')
    request.setRequestHeader('Content-Type', clip.type || 'application/octet-stream')
    request.setRequestHeader('Idempotency-Key', idempotencyKey)
    for (const [name, value] of Object.entries(authorization())) request.setRequestHeader(name, value)
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 0)
    request.onload = () => {
      if (request.status !== 202 && request.status !== 200) {
        reject(problem(request.status, request.responseText, request.getResponseHeader('Retry-After')))
        return
      }
      const document = parsed(request.responseText)
      if (isJobDocument(document)) resolve(document)
      else reject(new ApiError(0))
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
  const document = parsed(await body(await call(job(id), { signal, headers }), signal))
  if (!isJobDocument(document)) throw new ApiError(0)
  return document
}

export async function getWaveforms(id: string, signal: AbortSignal): Promise<Waveforms> {
  const waveforms = parsed(await body(await call(`${job(id)}/waveforms`, { signal }), signal))
  if (!isWaveforms(waveforms)) throw new ApiError(0)
  return waveforms
}

export async function getFhir(id: string, signal: AbortSignal): Promise<Blob> {
  const text = await body(await call(`${job(id)}/fhir`, { signal }), signal)
  if (!isBundle(parsed(text))) throw new ApiError(0)
  return new Blob([text], { type: 'application/fhir+json' })
}

/** Cancels and erases the job; one that is gone already counts as erased. */
export async function erase(id: string): Promise<void> {
  let status: number
  try {
    status = (await call(job(id), { method: 'DELETE' })).status
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return
    throw error
  }
  // Only the gateway answers 204; a proxy's page in its place has erased nothing.
  if (status !== 204) throw new ApiError(0)
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
  if (response.ok) return response
  const text = await response.text().catch(() => '')
  throw problem(response.status, text, response.headers.get('Retry-After'))
}

/** The whole body. A body that breaks off counts as a gateway that could not be reached. */
async function body(response: Response, signal: AbortSignal): Promise<string> {
  try {
    return await response.text()
  } catch (error) {
    if (signal.aborted) throw error
    throw new ApiError(0)
  }
}

function problem(status: number, body: string, retryAfter: string | null): ApiError {
  // A date is allowed too; the page then shows no time.
  const seconds = /^\d+$/.test(retryAfter ?? '') ? Number(retryAfter) : null
  const { type, detail } = (parsed(body) ?? {}) as { type?: unknown; detail?: unknown }
  const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
  return new ApiError(status, text(type), text(detail), seconds)
}

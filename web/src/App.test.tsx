import { cleanup, render, screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { App } from './App'
import { en as strings } from './strings/en'
import failed from './fixtures/failed.json'
import succeeded from './fixtures/succeeded.json'

const opening = vi.fn<() => Promise<MediaStream>>()

beforeEach(() => {
  vi.stubGlobal('isSecureContext', true)
  vi.stubGlobal('MediaRecorder', class {})
  Object.defineProperty(navigator, 'mediaDevices', { value: { getUserMedia: opening }, configurable: true })
  opening.mockReset().mockRejectedValue(new DOMException('no', 'NotAllowedError'))
})
afterEach(() => {
  cleanup()
  vi.unstubAllGlobals()
  localStorage.clear()
  location.hash = ''
})

const gateway = (answers: Record<string, () => Response>) => {
  const requests: string[] = []
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    requests.push(`${init.method ?? 'GET'} ${path}`)
    return (answers[`${init.method ?? 'GET'} ${path}`] ?? (() => new Response('{}', { status: 404 })))()
  })
  return requests
}

describe('the page', () => {
  it('asks for consent before it touches the camera', async () => {
    render(<App />)
    expect(screen.getByText(/One video of your face/)).toBeTruthy()
    expect(opening).not.toHaveBeenCalled()
    await userEvent.click(screen.getByRole('button', { name: /turn on the camera/ }))
    expect(opening).toHaveBeenCalledOnce()
  })

  it('shows what to do when the camera is refused, and tries again', async () => {
    render(<App />)
    await userEvent.click(screen.getByRole('button', { name: /turn on the camera/ }))
    expect(await screen.findByText(/Allow it in the address bar/)).toBeTruthy()
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }))
    expect(opening).toHaveBeenCalledTimes(2)
    expect(screen.getByRole('button', { name: /upload a video instead/ })).toBeTruthy()
  })

  it.each([
    ['NotFoundError', /No camera was found/],
    ['NotReadableError', /Another program/],
  ])('distinguishes %s from a refusal', async (name, sentence) => {
    opening.mockRejectedValue(new DOMException('no', name))
    render(<App />)
    await userEvent.click(screen.getByRole('button', { name: /turn on the camera/ }))
    expect(await screen.findByText(sentence)).toBeTruthy()
  })

  it('speaks another language at once, and remembers it', async () => {
    render(<App />)
    await userEvent.selectOptions(screen.getByLabelText('Language'), 'de')
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('Ihre Vitalwerte aus 15 Sekunden Video')
    expect(document.documentElement.lang).toBe('de')
    cleanup()
    render(<App />)
    expect(screen.getByLabelText('Sprache')).toBeTruthy()
  })

  it('comes back to a job by its address, and deletes it', async () => {
    location.hash = '#job=abc'
    const requests = gateway({
      'GET /v1/jobs/abc': () => Response.json({ ...succeeded, id: 'abc' }),
      'GET /v1/jobs/abc/events': () => new Response(null, { status: 204 }),
      'DELETE /v1/jobs/abc': () => new Response(null, { status: 204 }),
    })
    render(<App />)
    expect(await screen.findByRole('heading', { name: 'Your vitals' })).toBeTruthy()
    await userEvent.click(screen.getByRole('button', { name: 'Delete now' }))
    expect(await screen.findByText(/Nothing of this measurement is left/)).toBeTruthy()
    expect(requests).toContain('DELETE /v1/jobs/abc')
    expect(location.hash).toBe('')
  })

  it('shows that the result of an address is gone', async () => {
    location.hash = '#job=abc'
    gateway({})
    render(<App />)
    expect(await screen.findByText(/has been deleted or has expired/)).toBeTruthy()
  })

  it('explains a video that could not be analysed, without numbers', async () => {
    location.hash = '#job=abc'
    gateway({
      'GET /v1/jobs/abc': () => Response.json({ ...failed, id: 'abc' }),
      'GET /v1/jobs/abc/events': () => new Response(null, { status: 204 }),
    })
    render(<App />)
    expect(await screen.findByText(/The video could not be read/)).toBeTruthy()
    await waitFor(() => expect(screen.queryAllByRole('article')).toHaveLength(0))
  })

  it('shows the sentence about a rejected video once, while a branch still works', async () => {
    location.hash = '#job=abc'
    const { vision, rppg } = failed.branches
    const running = { ...failed, id: 'abc', state: 'running', error: null, finished_at: null }
    gateway({
      'GET /v1/jobs/abc': () =>
        Response.json({ ...running, branches: { vision, rppg: { ...rppg, status: 'running', error: null } } }),
      'GET /v1/jobs/abc/events': () => new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } }),
    })
    render(<App />)
    expect(await screen.findAllByText(strings.errors.clip_undecodable)).toHaveLength(1)
    expect(screen.queryAllByRole('article')).toHaveLength(0)
    expect(screen.queryByText(new RegExp(strings.reasons.branch_failed[0]))).toBeNull()
  })

  it.each([
    [12.4, strings.job.queuedFor(13)],
    [0, strings.job.queued],
    [null, strings.job.queued],
    [undefined, strings.job.queued],
  ])('shows how long a queued video waits, where the gateway knows: %s', async (expected_wait_s, text) => {
    location.hash = '#job=abc'
    const { vision, rppg } = failed.branches
    const waiting = {
      vision: { ...vision, status: 'pending', error: null },
      rppg: { ...rppg, status: 'pending', error: null },
    }
    const queued = {
      ...failed,
      id: 'abc',
      state: 'queued',
      error: null,
      finished_at: null,
      branches: waiting,
      expected_wait_s,
    }
    gateway({
      'GET /v1/jobs/abc': () => Response.json(queued),
      'GET /v1/jobs/abc/events': () => new Response('<!doctype html>', { headers: { 'Content-Type': 'text/html' } }),
    })
    render(<App />)
    expect(await screen.findByText(text)).toBeTruthy()
  })

  it('notes what was unusual about a video, in its words or those of a newer gateway', async () => {
    location.hash = '#job=abc'
    const warnings = [
      { code: 'rotated_by_face', detail: 'Turned.' },
      { code: 'sun_spots', detail: 'The sun has spots.' },
    ]
    gateway({
      'GET /v1/jobs/abc': () => Response.json({ ...succeeded, id: 'abc', warnings }),
      'GET /v1/jobs/abc/events': () => new Response(null, { status: 204 }),
    })
    render(<App />)
    expect(await screen.findByRole('heading', { name: strings.job.warnings })).toBeTruthy()
    expect(screen.getByText(strings.warnings.rotated_by_face)).toBeTruthy()
    expect(screen.getByText('The sun has spots.')).toBeTruthy()
  })

  it.each([[[]], [undefined]])('notes nothing about an ordinary video: %s', async (warnings) => {
    location.hash = '#job=abc'
    gateway({
      'GET /v1/jobs/abc': () => Response.json({ ...succeeded, id: 'abc', warnings }),
      'GET /v1/jobs/abc/events': () => new Response(null, { status: 204 }),
    })
    render(<App />)
    expect(await screen.findByRole('heading', { name: 'Your vitals' })).toBeTruthy()
    expect(screen.queryByText(strings.job.warnings)).toBeNull()
  })

  it('refuses a picture before the upload, and takes a video next', async () => {
    render(<App />)
    const input = document.querySelector('input[type=file]') as HTMLInputElement
    await userEvent.upload(input, new File(['\0\0\0\x18ftypmif1'], 'me.heic', { type: 'image/heic' }), {
      applyAccept: false,
    })
    expect((await screen.findByRole('alert')).textContent).toBe(strings.files.picture)
    await userEvent.upload(input, new File(['\0\0\0\x14ftypqt  '], 'IMG_0001.MOV', { type: 'video/quicktime' }))
    expect(await screen.findByText(strings.job.uploading)).toBeTruthy()
  })

  const PORTAL = '<!doctype html><title>Sign in</title>'
  const portal = (): Response => new Response(PORTAL, { headers: { 'Content-Type': 'text/html' } })
  const job = { ...succeeded, id: 'abc' }

  it('goes on behind a captive portal as soon as the gateway answers again', async () => {
    location.hash = '#job=abc'
    let requests = 0
    gateway({
      'GET /v1/jobs/abc': () => (requests++ < 2 ? portal() : Response.json(job)),
      'GET /v1/jobs/abc/events': portal,
    })
    render(<App />)
    expect(await screen.findByText(strings.job.link.reconnecting)).toBeTruthy()
    expect(await screen.findByRole('heading', { name: 'Your vitals' }, { timeout: 10_000 })).toBeTruthy()
  })

  it.each(['{}', 'null', PORTAL, '{"waves":{"heart_rate":{}},"spectra":{}}'])(
    'shows the vitals where the waves are none: %s',
    async (body) => {
      location.hash = '#job=abc'
      gateway({
        'GET /v1/jobs/abc': () => Response.json(job),
        'GET /v1/jobs/abc/events': () => new Response(null, { status: 204 }),
        'GET /v1/jobs/abc/waveforms': () => new Response(body),
        'GET /v1/jobs/abc/fhir': () => new Response(body),
      })
      render(<App />)
      expect(await screen.findByRole('heading', { name: 'Your vitals' })).toBeTruthy()
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(screen.getByText('Heart rate')).toBeTruthy()
      expect(screen.queryByText(strings.job.downloads.fhir)).toBeNull()
      expect(screen.queryByText(strings.job.waves)).toBeNull()
    },
  )

  it('does not claim a deletion that a portal answered', async () => {
    location.hash = '#job=abc'
    gateway({
      'GET /v1/jobs/abc': () => Response.json(job),
      'GET /v1/jobs/abc/events': () => new Response(null, { status: 204 }),
      'DELETE /v1/jobs/abc': portal,
    })
    render(<App />)
    await userEvent.click(await screen.findByRole('button', { name: 'Delete now' }))
    expect((await screen.findByRole('alert')).textContent).toBe(strings.job.delete.failed)
  })

  it('shows the known fields of a newer gateway', async () => {
    location.hash = '#job=abc'
    const silent = {
      ...succeeded.vitals.heart_rate,
      value: null,
      interval: null,
      status: 'pondered',
      reason: 'sun_spots',
    }
    const measures = { sdnn_ms: { value: null, unit: 'ms', status: 'abstained', reason: 'sun_spots' } }
    const newer = {
      ...job,
      vitals: {
        ...succeeded.vitals,
        heart_rate: silent,
        heart_rate_variability: { ...succeeded.vitals.heart_rate_variability, value: measures },
        shoe_size: succeeded.vitals.age,
      },
      checks: { ...succeeded.checks, face: { status: 'maybe', score: null, reason: 'sun_spots', detail: null } },
      branches: { ...succeeded.branches, rppg: { status: 'resting', elapsed_ms: null, error: null } },
    }
    gateway({
      'GET /v1/jobs/abc': () => Response.json(newer),
      'GET /v1/jobs/abc/events': () => new Response(null, { status: 204 }),
    })
    render(<App />)
    expect(await screen.findByRole('heading', { name: 'Your vitals' })).toBeTruthy()
    expect(screen.getAllByText(/sun spots/).length).toBeGreaterThan(0)
    expect(document.body.textContent).not.toContain('undefined')
  })

  it('shows an unknown failure of a newer gateway, and waits in an unknown state', async () => {
    location.hash = '#job=abc'
    let requests = 0
    gateway({
      'GET /v1/jobs/abc': () =>
        Response.json(
          requests++ < 1
            ? { ...job, state: 'recording', vitals: {}, branches: { rppg: { status: 'resting' } } }
            : { ...failed, id: 'abc', error: { code: 'sun_spots', detail: 'The sun has spots.' } },
        ),
      'GET /v1/jobs/abc/events': portal,
    })
    render(<App />)
    expect(await screen.findByText('The sun has spots.', {}, { timeout: 10_000 })).toBeTruthy()
  })
})

import { cleanup, render, screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { App } from './App'
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
  const asked: string[] = []
  vi.stubGlobal('fetch', async (path: string, init: RequestInit) => {
    asked.push(`${init.method ?? 'GET'} ${path}`)
    return (answers[`${init.method ?? 'GET'} ${path}`] ?? (() => new Response('{}', { status: 404 })))()
  })
  return asked
}

describe('the page', () => {
  it('asks for consent before it touches the camera', async () => {
    render(<App />)
    expect(screen.getByText(/One video of your face/)).toBeTruthy()
    expect(opening).not.toHaveBeenCalled()
    await userEvent.click(screen.getByRole('button', { name: /turn on the camera/ }))
    expect(opening).toHaveBeenCalledOnce()
  })

  it('says what to do when the camera is refused, and tries again', async () => {
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
  ])('tells %s from a refusal', async (name, sentence) => {
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
    const asked = gateway({
      'GET /v1/jobs/abc': () => Response.json({ ...succeeded, id: 'abc' }),
      'GET /v1/jobs/abc/events': () => new Response(null, { status: 204 }),
      'DELETE /v1/jobs/abc': () => new Response(null, { status: 204 }),
    })
    render(<App />)
    expect(await screen.findByRole('heading', { name: 'Your vitals' })).toBeTruthy()
    await userEvent.click(screen.getByRole('button', { name: 'Delete now' }))
    expect(await screen.findByText(/Nothing of this measurement is left/)).toBeTruthy()
    expect(asked).toContain('DELETE /v1/jobs/abc')
    expect(location.hash).toBe('')
  })

  it('says so when the result of an address is gone', async () => {
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
})

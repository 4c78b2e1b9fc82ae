import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { RECORDING_MS, SETTLING_MS, type Guidance } from '../guidance/guidance'
import type { ClipRecorder } from './recorder'
import { CaptureSession } from './session'

const CLIP = new Blob(['clip'])

/** A session whose recorder a test controls; it records whatever the picture shows. */
function begin(recorder: Partial<ClipRecorder> = {}) {
  const video = { videoWidth: 0, videoHeight: 0, getVideoPlaybackQuality: () => ({ totalVideoFrames: 0 }) }
  const recording = {
    start: vi.fn(),
    discard: vi.fn(),
    finish: vi.fn(async () => CLIP),
    onEnded: () => {},
    ...recorder,
  }
  const seen: Guidance[] = []
  const events = {
    onGuidance: (guidance: Guidance) => void seen.push(guidance),
    onClip: vi.fn(),
    onFailure: vi.fn(),
    onLost: vi.fn(),
  }
  const session = new CaptureSession(video as unknown as HTMLVideoElement, recording as unknown as ClipRecorder, events)
  session.insist()
  session.start(new Promise(() => {}))
  return { session, recording, events, phase: () => seen.at(-1)?.phase }
}

const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)
const hide = (hidden: boolean): void => {
  Object.defineProperty(document, 'hidden', { value: hidden, configurable: true })
  document.dispatchEvent(new Event('visibilitychange'))
}

describe('a capture session', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  })
  afterEach(() => {
    vi.useRealTimers()
    Reflect.deleteProperty(document, 'hidden')
  })

  it('gives a clip', async () => {
    const { events, phase } = begin()
    await pass(SETTLING_MS + RECORDING_MS + 3000)
    expect(phase()).toBe('done')
    expect(events.onClip).toHaveBeenCalledExactlyOnceWith(CLIP)
  })

  it('reports a browser that can not finish, or gives nothing', async () => {
    const { events } = begin({ finish: () => Promise.reject(new Error('no data')) })
    await pass(SETTLING_MS + RECORDING_MS + 3000)
    expect(events.onFailure).toHaveBeenCalledOnce()
    expect(events.onClip).not.toHaveBeenCalled()
  })

  it('reports a browser that can not start', async () => {
    const start = () => {
      throw new DOMException('no', 'NotSupportedError')
    }
    const { events } = begin({ start })
    await pass(SETTLING_MS + 3000)
    expect(events.onFailure).toHaveBeenCalledOnce()
  })

  it.each(['cameraEnded', 'onEnded'] as const)('uses a recording of use after %s, once', async (end) => {
    const { session, recording, events, phase } = begin()
    await pass(SETTLING_MS + 12_000)
    expect(phase()).toBe('recording')
    if (end === 'cameraEnded') session.cameraEnded()
    recording.onEnded()
    session.cameraEnded()
    await pass(3000)
    expect(phase()).toBe('done')
    expect(recording.finish).toHaveBeenCalledOnce()
    expect(events.onClip).toHaveBeenCalledExactlyOnceWith(CLIP)
    expect(events.onLost).not.toHaveBeenCalled()
  })

  it.each([
    ['cameraEnded', 'onLost'],
    ['onEnded', 'onFailure'],
  ] as const)('after %s too early it reports %s', async (end, report) => {
    const { session, recording, events } = begin({ finish: () => Promise.reject(new Error('too short')) })
    await pass(SETTLING_MS + 2000)
    if (end === 'cameraEnded') session.cameraEnded()
    else recording.onEnded()
    await pass(RECORDING_MS + 3000)
    expect(events[report]).toHaveBeenCalledOnce()
    expect(events.onClip).not.toHaveBeenCalled()
  })

  it('reports a camera that ends before the recording, and checks no more frames', async () => {
    const { session, recording, events } = begin()
    session.cameraEnded()
    await pass(SETTLING_MS + RECORDING_MS)
    expect(events.onLost).toHaveBeenCalledOnce()
    expect(recording.start).not.toHaveBeenCalled()
  })

  it('drops a recording when the page is hidden, and begins anew when it is shown', async () => {
    const { session, recording, events, phase } = begin()
    await pass(SETTLING_MS + 5000)
    hide(true)
    expect(phase()).toBe('searching')
    expect(recording.discard).toHaveBeenCalled()
    session.insist()
    await pass(60_000)
    expect(phase()).toBe('searching')
    expect(events.onClip).not.toHaveBeenCalled()
    hide(false)
    expect(session.interrupted).toBe(true)
    session.insist()
    await pass(SETTLING_MS + RECORDING_MS + 3000)
    expect(recording.start).toHaveBeenCalledTimes(2)
    expect(events.onClip).toHaveBeenCalledOnce()
    expect(session.interrupted).toBe(false)
  })

  it('keeps a finished recording when the page is hidden', async () => {
    let give: (clip: Blob) => void = () => {}
    const { events, phase } = begin({ finish: () => new Promise((resolve) => (give = resolve)) })
    await pass(SETTLING_MS + RECORDING_MS + 1000)
    expect(phase()).toBe('done')
    hide(true)
    give(CLIP)
    await pass(3000)
    expect(events.onClip).toHaveBeenCalledOnce()
  })

  it('ignores the page after it was left', async () => {
    const { session, events } = begin()
    session.close()
    session.cameraEnded()
    hide(true)
    await pass(1000)
    expect(events.onLost).not.toHaveBeenCalled()
  })
})

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ClipRecorder, recordingFormat, STOPPING_MS, USABLE_MS } from './recorder'

const APPLE = 'AppleWebKit/605.1.15 (KHTML, like Gecko)'
const BLINK = 'AppleWebKit/537.36 (KHTML, like Gecko)'
const IPHONE = `Mozilla/5.0 (iPhone; CPU iPhone OS 18_4 like Mac OS X) ${APPLE}`
const MAC = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)'
const WINDOWS = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64)'

const MP4 = 'video/mp4;codecs=avc1.42E01E'
const VP9 = 'video/webm;codecs=vp9'
const VP8 = 'video/webm;codecs=vp8'
const ALL = [MP4, 'video/mp4', VP9, VP8, 'video/webm']

describe('the recording format', () => {
  it.each([
    ['Safari on iOS', `${IPHONE} Version/18.4 Mobile/15E148 Safari/604.1`, ALL, MP4],
    [
      'Safari on iOS without codec names',
      `${IPHONE} Version/18.4 Mobile/15E148 Safari/604.1`,
      ['video/mp4'],
      'video/mp4',
    ],
    ['Safari on iPadOS', `${MAC} ${APPLE} Version/18.4 Safari/605.1.15`, ALL, MP4],
    ['Safari on macOS', `${MAC} ${APPLE} Version/18.4 Safari/605.1.15`, ALL, MP4],
    ['Chrome on iOS', `${IPHONE} CriOS/140.0.7339.101 Mobile/15E148 Safari/604.1`, ALL, MP4],
    ['Firefox on iOS', `${IPHONE} FxiOS/142.0 Mobile/15E148 Safari/605.1.15`, ALL, MP4],
    ['Edge on iOS', `${IPHONE} Version/18.0 EdgiOS/140.0 Mobile/15E148 Safari/604.1`, ALL, MP4],
    ['an app on iOS', `${IPHONE} Mobile/15E148`, ALL, MP4],
    ['Chrome on Windows', `${WINDOWS} ${BLINK} Chrome/140.0.0.0 Safari/537.36`, ALL, VP9],
    ['Chrome on macOS', `${MAC} ${BLINK} Chrome/140.0.0.0 Safari/537.36`, ALL, VP9],
    [
      'Chrome on Android',
      `Mozilla/5.0 (Linux; Android 10; K) ${BLINK} Chrome/140.0.0.0 Mobile Safari/537.36`,
      ALL,
      VP9,
    ],
    ['Edge on Windows', `${WINDOWS} ${BLINK} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0`, ALL, VP9],
    [
      'Firefox on Linux',
      'Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0',
      [VP8, 'video/webm'],
      VP8,
    ],
  ])('of %s suits the engine', (_, userAgent, supported, expected) => {
    vi.stubGlobal('MediaRecorder', { isTypeSupported: (type: string) => supported.includes(type) })
    expect(recordingFormat(undefined, userAgent)).toBe(expected)
    vi.unstubAllGlobals()
  })

  it('is MP4 where the browser has no WebM', () => {
    expect(recordingFormat((type) => type.startsWith('video/mp4'))).toMatch(/^video\/mp4/)
  })

  it('is WebM in WebKit without MP4', () => {
    expect(recordingFormat((type) => type.startsWith('video/webm'), IPHONE)).toBe(VP9)
  })

  it('is nothing where nothing would be accepted', () => {
    expect(recordingFormat(() => false)).toBeNull()
  })
})

/** A browser's recorder that does only what a test makes it do: happy-dom has none. */
class BrowserRecorder {
  static last: BrowserRecorder
  state = 'inactive'
  mimeType = VP9
  onstop: (() => void) | null = null
  onerror: (() => void) | null = null
  ondataavailable: ((event: { data: Blob }) => void) | null = null
  onStopCall: () => void = () => {}

  constructor() {
    BrowserRecorder.last = this
  }
  start(): void {
    this.state = 'recording'
  }
  stop(): void {
    this.state = 'inactive'
    this.onStopCall()
  }
  data(text: string): void {
    this.ondataavailable?.({ data: new Blob([text]) })
  }
}

describe('a recording', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
    vi.stubGlobal('MediaRecorder', BrowserRecorder)
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
  })

  const begun = (): [ClipRecorder, BrowserRecorder] => {
    const recorder = new ClipRecorder({} as MediaStream, VP9)
    recorder.start()
    return [recorder, BrowserRecorder.last]
  }

  it('has all data when the browser has stopped', async () => {
    const [recorder, browser] = begun()
    vi.advanceTimersByTime(USABLE_MS)
    browser.data('first ')
    browser.onStopCall = () => {
      browser.data('last')
      browser.onstop?.()
    }
    const clip = await recorder.finish()
    expect(await clip.text()).toBe('first last')
    expect(clip.type).toBe('video/webm')
  })

  it('is used without an end if the browser never stops', async () => {
    const [recorder, browser] = begun()
    vi.advanceTimersByTime(USABLE_MS)
    browser.data('most of it')
    const finishing = recorder.finish()
    await vi.advanceTimersByTimeAsync(STOPPING_MS)
    expect(await (await finishing).text()).toBe('most of it')
  })

  it.each([
    ['no data came', USABLE_MS, ''],
    ['it ended too early', USABLE_MS - 1, 'some'],
  ])('fails if %s', async (_, atMs, text) => {
    const [recorder, browser] = begun()
    vi.advanceTimersByTime(atMs)
    browser.data(text)
    const finishing = expect(recorder.finish()).rejects.toThrow()
    await vi.advanceTimersByTimeAsync(STOPPING_MS)
    await finishing
  })

  it.each(['onstop', 'onerror'] as const)('reports that the browser ended it: %s', async (event) => {
    const [recorder, browser] = begun()
    const ended = vi.fn()
    recorder.onEnded = ended
    vi.advanceTimersByTime(USABLE_MS)
    browser.data('enough')
    browser.state = 'inactive'
    browser[event]?.()
    expect(ended).toHaveBeenCalledOnce()
    const finishing = recorder.finish()
    await vi.advanceTimersByTimeAsync(STOPPING_MS)
    expect(await (await finishing).text()).toBe('enough')
  })

  it('reports no end of a recording that was dropped', () => {
    const [recorder, browser] = begun()
    const ended = vi.fn()
    recorder.onEnded = ended
    browser.onStopCall = () => browser.onstop?.()
    recorder.discard()
    expect(ended).not.toHaveBeenCalled()
  })
})

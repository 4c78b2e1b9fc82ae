/** Recording a camera's stream to WebM or MP4, at a bit rate that leaves the pulse in the picture. */
import { SHORTEST_S } from '../api/contract'
import { within } from './within'

/** Browsers undershoot: set to 6 Mbit/s, Chromium 156 gave 3.7 (VP9) and 2.3 (H.264); 2.5 keep the pulse. */
const BITS_PER_SECOND = 6_000_000

/** How long a browser may take to finish a recording. */
export const STOPPING_MS = 5000

/** A recording that ended early is used from this length on, which breathing and pulse both need. */
export const USABLE_MS = Math.max(SHORTEST_S.heart_rate, SHORTEST_S.respiration_rate) * 1000

/**
 * VP9 first: at 640x480, Chromium 156 spent 9 ms of one core on a frame with it and 80 ms with VP8, which left 8 of 30
 * frames a second. Firefox records VP8.
 */
const FORMATS = [
  'video/webm;codecs=vp9',
  'video/mp4;codecs=avc1.42E01E',
  'video/webm;codecs=vp8',
  'video/mp4',
  'video/webm',
]

/**
 * MP4 first: a phone's camera delivers pictures on their side with a rotation, for which WebM has no field. Safari on
 * iOS records WebM since 18.4, and such a clip lies on its side.
 */
const WEBKIT_FORMATS = [
  'video/mp4;codecs=avc1.42E01E',
  'video/mp4',
  'video/webm;codecs=vp9',
  'video/webm;codecs=vp8',
  'video/webm',
]

/**
 * Whether this is WebKit: Safari, and every browser on iOS. By the user agent, because no feature distinguishes how an
 * engine records. Chromium names AppleWebKit too, but always with `Chrome/`; Chrome on iOS is `CriOS/`.
 */
const isWebKit = (userAgent: string): boolean => userAgent.includes('AppleWebKit/') && !userAgent.includes('Chrome/')

export function recordingFormat(
  isSupported = (type: string) => MediaRecorder.isTypeSupported(type),
  userAgent = navigator.userAgent,
): string | null {
  return (isWebKit(userAgent) ? WEBKIT_FORMATS : FORMATS).find((type) => isSupported(type)) ?? null
}

/** One recording, from its start to its end. */
interface Take {
  readonly recorder: MediaRecorder
  readonly chunks: Blob[]
  readonly stopped: Promise<void>
  readonly startedMs: number
  /** When the last data came. */
  dataMs: number
}

export class ClipRecorder {
  private take: Take | null = null

  /** Called if the browser ends a recording by itself; `finish` gives what there is. */
  onEnded: () => void = () => {}

  constructor(
    private readonly stream: MediaStream,
    private readonly format: string,
  ) {}

  /** Begins anew; what was recorded before is dropped. Throws if the browser can't record the stream. */
  start(): void {
    this.discard()
    const recorder = new MediaRecorder(this.stream, { mimeType: this.format, videoBitsPerSecond: BITS_PER_SECOND })
    const startedMs = performance.now()
    const ended = (): void => {
      if (this.take === take) this.onEnded()
    }
    const stopped = new Promise<void>((resolve) => {
      recorder.onstop = () => {
        resolve()
        ended()
      }
    })
    const take: Take = { recorder, chunks: [], stopped, startedMs, dataMs: startedMs }
    recorder.onerror = ended
    recorder.ondataavailable = ({ data }) => {
      if (!data.size) return
      take.chunks.push(data)
      take.dataMs = performance.now()
    }
    recorder.start(1000)
    this.take = take
  }

  discard(): void {
    const { take } = this
    this.take = null
    if (take) stop(take.recorder)
  }

  /** The clip; one that the browser ended early, or does not finish in time, if it is long enough. */
  async finish(): Promise<Blob> {
    const { take } = this
    this.take = null
    if (!take) throw new Error('nothing was being recorded')
    stop(take.recorder)
    await within(STOPPING_MS, take.stopped).catch(() => {})
    if (!take.chunks.length) throw new Error('the browser gave no data')
    if (take.dataMs - take.startedMs < USABLE_MS) throw new Error('the recording ended early')
    return new Blob(take.chunks, { type: take.recorder.mimeType.split(';')[0] || 'video/webm' })
  }
}

function stop(recorder: MediaRecorder): void {
  if (recorder.state !== 'inactive') recorder.stop()
}

/** One capture session: checks frames, guides the user, records, and returns a clip. Independent of React. */
import { INPUT_SIDE, type Face } from '../detect/blazeface'
import type { FaceDetector } from '../detect/detector'
import { begin, step, type Guidance } from '../guidance/guidance'
import { FrameClock, lightOn, Stillness, type Light } from '../guidance/quality'
import type { ClipRecorder } from './recorder'

/** How often a frame is checked; the recording itself runs at the camera's rate. */
const CHECK_EVERY_MS = 200

const THANKS_MS = 800

export interface SessionEvents {
  readonly onGuidance: (guidance: Guidance, atMs: number) => void
  readonly onClip: (clip: Blob) => void
  /** The browser could not record. */
  readonly onFailure: () => void
  /** The camera ended before there was a recording of use. */
  readonly onLost: () => void
}

export class CaptureSession {
  private guidance: Guidance = begin(performance.now())
  private detector: FaceDetector | null = null
  private detectorGone = false
  private faces: readonly Face[] = []
  private light: Light | null = null
  private speed = 0
  private insisting = false
  private closed = false
  /** Whether the recording has ended, by the guidance or early. */
  private ended = false
  private wasInterrupted = false
  private timer: ReturnType<typeof setTimeout> | undefined
  private readonly clock = new FrameClock()
  private readonly stillness = new Stillness()
  private readonly canvas = document.createElement('canvas')

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly recorder: ClipRecorder,
    private readonly events: SessionEvents,
  ) {}

  /** Begins to check frames; `opening` may come late or never. */
  start(opening: Promise<FaceDetector>): void {
    opening.then(
      (detector) => {
        if (this.closed) detector.close()
        else this.detector = detector
      },
      () => {
        this.detectorGone = true
      },
    )
    this.recorder.onEnded = () => this.endEarly(this.events.onFailure)
    document.addEventListener('visibilitychange', this.onVisibility)
    void this.checkFrame()
  }

  /** Records whatever the conditions. */
  insist(): void {
    this.insisting = true
  }

  /** Drops what was recorded and begins anew. */
  restart(): void {
    this.recorder.discard()
    this.insisting = false
    this.stillness.forget()
    this.guidance = begin(performance.now())
    this.events.onGuidance(this.guidance, performance.now())
  }

  /** The camera was disconnected or taken away: a recording that is long enough is used. */
  cameraEnded(): void {
    this.endEarly(this.events.onLost)
  }

  get facesAreChecked(): boolean {
    return !this.detectorGone
  }

  /** Whether a recording was dropped because the page was hidden. */
  get interrupted(): boolean {
    return this.wasInterrupted
  }

  close(): void {
    this.closed = true
    clearTimeout(this.timer)
    document.removeEventListener('visibilitychange', this.onVisibility)
    this.recorder.discard()
    this.detector?.close()
  }

  private async checkFrame(): Promise<void> {
    const started = performance.now()
    try {
      await this.observe(started)
    } catch {
      this.detector?.close()
      this.detector = null
      this.detectorGone = true
    }
    if (this.closed || this.ended) return
    // A hidden page gets no pictures from the camera.
    if (!document.hidden) this.advance(performance.now())
    if (this.closed || this.ended) return
    // A pause as long as the check took: a slow machine needs its processor for the recording.
    const took = performance.now() - started
    this.timer = setTimeout(() => void this.checkFrame(), Math.max(CHECK_EVERY_MS - took, took, 20))
  }

  private async observe(atMs: number): Promise<void> {
    const { videoWidth, videoHeight } = this.video
    if (!videoWidth || !videoHeight) return
    const scale = INPUT_SIDE / Math.max(videoWidth, videoHeight)
    this.canvas.width = Math.round(videoWidth * scale)
    this.canvas.height = Math.round(videoHeight * scale)
    const context = this.canvas.getContext('2d', { willReadFrequently: true })
    if (!context) return
    context.imageSmoothingQuality = 'high'
    context.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height)
    const { data, width, height } = context.getImageData(0, 0, this.canvas.width, this.canvas.height)
    this.light = lightOn({ data, width, height }, this.faces[0] ?? null)
    if (!this.detector) return
    this.faces = await this.detector.find({ data, width, height })
    const [face] = this.faces
    this.speed = face ? this.stillness.add(atMs, face, width / height) : 0
    if (!face) this.stillness.forget()
  }

  /** Begins anew after the page was hidden: browsers stop the camera meanwhile, and the clip would have a hole. */
  private readonly onVisibility = (): void => {
    if (this.closed || this.ended) return
    if (document.hidden && this.guidance.phase !== 'searching') this.wasInterrupted = true
    this.restart()
  }

  private endEarly(otherwise: () => void): void {
    if (this.closed || this.ended) return
    const { phase } = this.guidance
    if (phase === 'recording' || phase === 'recovering') {
      this.guidance = { ...this.guidance, phase: 'done', problem: null }
      this.events.onGuidance(this.guidance, performance.now())
      void this.finish(otherwise)
    } else {
      this.ended = true
      otherwise()
    }
  }

  /** The clip, after a moment in which the user sees that they may move. */
  private async finish(otherwise: () => void): Promise<void> {
    this.ended = true
    clearTimeout(this.timer)
    try {
      const clip = await this.recorder.finish()
      await new Promise((resolve) => setTimeout(resolve, THANKS_MS))
      if (!this.closed) this.events.onClip(clip)
    } catch {
      if (!this.closed) otherwise()
    }
  }

  private record(): void {
    try {
      this.recorder.start()
    } catch {
      this.ended = true
      this.events.onFailure()
    }
  }

  private advance(atMs: number): void {
    const before = this.guidance
    this.guidance = step(
      before,
      {
        atMs,
        faces: this.detectorGone ? null : this.faces,
        light: this.light,
        speed: this.speed,
        frameRate: this.clock.rate(atMs, this.video.getVideoPlaybackQuality().totalVideoFrames),
      },
      this.insisting,
    )
    const { phase } = this.guidance
    if (phase === 'recording') this.wasInterrupted = false
    if (phase !== before.phase) {
      if (phase === 'recording' && before.phase === 'settling') this.record()
      if (phase === 'searching') this.recorder.discard()
      if (phase === 'done') void this.finish(this.events.onFailure)
    }
    this.events.onGuidance(this.guidance, atMs)
  }
}

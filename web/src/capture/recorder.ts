/** Recording a camera's stream to WebM or MP4, at a bit rate that leaves the pulse in the picture. */

/** Browsers undershoot: set to 6 Mbit/s, Chromium 156 gave 3.7 (VP9) and 2.3 (H.264); 2.5 keep the pulse. */
const BITS_PER_SECOND = 6_000_000

/**
 * VP9 first: at 640x480, Chromium 156 spent 9 ms of one core on a frame with it and 80 ms with VP8, which left 8 of 30
 * frames a second. Firefox records VP8, and Safari MP4.
 */
const FORMATS = [
  'video/webm;codecs=vp9',
  'video/mp4;codecs=avc1.42E01E',
  'video/webm;codecs=vp8',
  'video/mp4',
  'video/webm',
]

export function recordingFormat(isSupported = (type: string) => MediaRecorder.isTypeSupported(type)): string | null {
  return FORMATS.find((type) => isSupported(type)) ?? null
}

export class ClipRecorder {
  private chunks: Blob[] = []
  private recorder: MediaRecorder | null = null

  constructor(
    private readonly stream: MediaStream,
    private readonly format: string,
  ) {}

  /** Begins anew; what was recorded before is dropped. */
  start(): void {
    this.discard()
    const chunks: Blob[] = []
    const recorder = new MediaRecorder(this.stream, { mimeType: this.format, videoBitsPerSecond: BITS_PER_SECOND })
    recorder.ondataavailable = ({ data }) => {
      if (data.size) chunks.push(data)
    }
    recorder.start(1000)
    this.chunks = chunks
    this.recorder = recorder
  }

  discard(): void {
    const recorder = this.recorder
    this.recorder = null
    this.chunks = []
    if (recorder && recorder.state !== 'inactive') recorder.stop()
  }

  /** The finished clip. */
  finish(): Promise<Blob> {
    const { recorder, chunks } = this
    this.recorder = null
    if (!recorder) return Promise.reject(new Error('nothing was being recorded'))
    return new Promise((resolve, reject) => {
      recorder.onstop = () => resolve(new Blob(chunks, { type: recorder.mimeType.split(';')[0] ?? 'video/webm' }))
      recorder.onerror = () => reject(new Error('the browser stopped recording'))
      recorder.stop()
    })
  }
}

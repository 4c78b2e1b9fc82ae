/** Recording conditions, measured from a picture and its faces. Pure functions of pixels and boxes. */
import type { Face, Picture } from '../detect/blazeface'

/** Means over the face, in [0, 255]. */
export interface Light {
  readonly brightness: number
  /** Share of the face's pixels that are clipped to white. */
  readonly clipped: number
  /** Difference of the two halves of the face over their sum: 0 even, 1 one half black. */
  readonly unevenness: number
}

/** Rec. 709 luma. */
const luma = (data: Uint8ClampedArray, at: number): number =>
  0.2126 * (data[at] as number) + 0.7152 * (data[at + 1] as number) + 0.0722 * (data[at + 2] as number)

/** Light on the face, or on the middle of the picture where no face is known. */
export function lightOn(picture: Picture, face: Face | null): Light {
  const box = face ?? { x: 0.35, y: 0.25, width: 0.3, height: 0.5 }
  const left = clamp(Math.floor(box.x * picture.width), picture.width)
  const right = clamp(Math.ceil((box.x + box.width) * picture.width), picture.width)
  const top = clamp(Math.floor(box.y * picture.height), picture.height)
  const bottom = clamp(Math.ceil((box.y + box.height) * picture.height), picture.height)
  const middle = (left + right) / 2
  const halves = [0, 0]
  const counts = [0, 0]
  let clipped = 0
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const value = luma(picture.data, (y * picture.width + x) * 4)
      const half = x + 0.5 < middle ? 0 : 1
      halves[half]! += value
      counts[half]! += 1
      if (value >= 250) clipped++
    }
  }
  const [a, b] = [halves[0]! / Math.max(1, counts[0]!), halves[1]! / Math.max(1, counts[1]!)]
  const total = counts[0]! + counts[1]!
  return {
    brightness: (a + b) / 2,
    clipped: total ? clipped / total : 0,
    unevenness: a + b > 0 ? Math.abs(a - b) / (a + b) : 0,
  }
}

const clamp = (value: number, limit: number): number => Math.min(limit, Math.max(0, value))

/** Tracks how fast a face moves, in face heights a second, from the means of its landmarks. */
export class Stillness {
  private readonly path: { readonly at: number; readonly x: number; readonly y: number }[] = []

  /** `aspect` is the picture's width over its height; `windowMs` the length of the speed's window. */
  constructor(private readonly windowMs = 800) {}

  /** Adds a detection; returns the speed over the window, or 0 until there are two. */
  add(atMs: number, face: Face, aspect: number): number {
    const inner = face.landmarks.slice(0, 4)
    const mean = (read: (point: { x: number; y: number }) => number): number =>
      inner.reduce((sum, point) => sum + read(point), 0) / Math.max(1, inner.length)
    this.path.push({ at: atMs, x: (mean((p) => p.x) * aspect) / face.height, y: mean((p) => p.y) / face.height })
    while (this.path.length > 2 && (this.path[1]?.at ?? atMs) < atMs - this.windowMs) this.path.shift()
    const first = this.path[0]
    const last = this.path.at(-1)
    if (!first || !last || last.at <= first.at) return 0
    return Math.hypot(last.x - first.x, last.y - first.y) / ((last.at - first.at) / 1000)
  }

  forget(): void {
    this.path.length = 0
  }
}

/** The camera's rate, from how many frames it has delivered so far. */
export class FrameClock {
  private readonly counts: { readonly at: number; readonly frames: number }[] = []

  constructor(private readonly windowMs = 2000) {}

  /** Frames a second over the window that ends now; null until half a window has been seen. */
  rate(atMs: number, frames: number): number | null {
    this.counts.push({ at: atMs, frames })
    while (this.counts.length > 2 && (this.counts[1]?.at ?? atMs) <= atMs - this.windowMs) this.counts.shift()
    const first = this.counts[0]
    if (!first || atMs - first.at < this.windowMs / 2) return null
    return ((frames - first.frames) * 1000) / (atMs - first.at)
  }
}

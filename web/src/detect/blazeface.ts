/**
 * BlazeFace, short range (Bazarevsky et al. 2019, arXiv 1907.05047): faces with six landmarks within about two metres.
 * The decoding follows MediaPipe's graph of the same name: its anchors, its scale, its blending of overlapping boxes.
 */
import type { Network, Tensor } from './network'

export interface Point {
  readonly x: number
  readonly y: number
}

/** A detected face; all coordinates and sizes are fractions of the picture's width and height. */
export interface Face {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
  readonly score: number
  /** Right eye, left eye, nose, mouth, right ear, left ear, as the person has them. */
  readonly landmarks: readonly Point[]
}

/** A picture as canvas gives it: RGBA, row by row; its longer side is `INPUT_SIDE`. */
export interface Picture {
  readonly data: Uint8ClampedArray
  readonly width: number
  readonly height: number
}

export const INPUT_SIDE = 128

const LANDMARKS = 6
const FIELDS = 4 + 2 * LANDMARKS
/** [cells a side, anchors a cell], in the order of the outputs. */
const GRIDS = [
  [16, 2],
  [8, 6],
] as const
const SCORE_THRESHOLD = 0.5
const SAME_FACE_OVERLAP = 0.3

/** Faces in a picture, best first. */
export function findFaces(network: Network, picture: Picture): Face[] {
  const [boxes, scores] = network.run(letterboxed(picture))
  if (!boxes || !scores) throw new Error('the model has not the two outputs of BlazeFace')
  return blend(decode(boxes.data, scores.data, picture))
}

/** Centred in a black square, colours in [-1, 1]. */
function letterboxed({ data, width, height }: Picture): Tensor {
  const out = new Float32Array(INPUT_SIDE * INPUT_SIDE * 3).fill(-1)
  const top = (INPUT_SIDE - height) >> 1
  const left = (INPUT_SIDE - width) >> 1
  for (let y = 0; y < height; y++) {
    let from = y * width * 4
    let to = ((y + top) * INPUT_SIDE + left) * 3
    for (let x = 0; x < width; x++, from++) {
      for (let c = 0; c < 3; c++) out[to++] = (data[from++] as number) / 127.5 - 1
    }
  }
  return { data: out, height: INPUT_SIDE, width: INPUT_SIDE, channels: 3 }
}

function decode(boxes: Float32Array, scores: Float32Array, { width, height }: Picture): Face[] {
  const faces: Face[] = []
  let anchor = 0
  for (const [cells, perCell] of GRIDS) {
    for (let i = 0; i < cells * cells * perCell; i++, anchor++) {
      const score = 1 / (1 + Math.exp(-(scores[anchor] as number)))
      if (score < SCORE_THRESHOLD) continue
      const cell = Math.floor(i / perCell)
      const centreX = ((cell % cells) + 0.5) / cells
      const centreY = (Math.floor(cell / cells) + 0.5) / cells
      const read = (field: number): number => (boxes[anchor * FIELDS + field] as number) / INPUT_SIDE
      const x = (value: number): number => ((value - 0.5) * INPUT_SIDE) / width + 0.5
      const y = (value: number): number => ((value - 0.5) * INPUT_SIDE) / height + 0.5
      const boxWidth = (read(2) * INPUT_SIDE) / width
      const boxHeight = (read(3) * INPUT_SIDE) / height
      faces.push({
        x: x(centreX + read(0)) - boxWidth / 2,
        y: y(centreY + read(1)) - boxHeight / 2,
        width: boxWidth,
        height: boxHeight,
        score,
        landmarks: Array.from({ length: LANDMARKS }, (_, k) => ({
          x: x(centreX + read(4 + 2 * k)),
          y: y(centreY + read(5 + 2 * k)),
        })),
      })
    }
  }
  return faces
}

/** Makes one face of boxes that overlap, weighted by their scores: steadier from frame to frame than the best box. */
function blend(candidates: Face[]): Face[] {
  let rest = candidates.toSorted((a, b) => b.score - a.score)
  const faces: Face[] = []
  while (rest[0]) {
    const best = rest[0]
    const same = rest.filter((other) => other === best || overlap(best, other) > SAME_FACE_OVERLAP)
    rest = rest.filter((other) => !same.includes(other))
    const total = same.reduce((sum, face) => sum + face.score, 0)
    const mean = (read: (face: Face) => number): number =>
      same.reduce((sum, face) => sum + read(face) * face.score, 0) / total
    faces.push({
      x: mean((face) => face.x),
      y: mean((face) => face.y),
      width: mean((face) => face.width),
      height: mean((face) => face.height),
      score: best.score,
      landmarks: best.landmarks.map((_, k) => ({
        x: mean((face) => face.landmarks[k]?.x ?? 0),
        y: mean((face) => face.landmarks[k]?.y ?? 0),
      })),
    })
  }
  return faces
}

/** Intersection over union. */
function overlap(a: Face, b: Face): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y)
  if (width <= 0 || height <= 0) return 0
  const shared = width * height
  return shared / (a.width * a.height + b.width * b.height - shared)
}

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { findFaces, INPUT_SIDE } from './blazeface'
import { Network } from './network'

const file = readFileSync('node_modules/@mediapipe/face_detection/face_detection_short_range.tflite')
const model = file.buffer.slice(file.byteOffset, file.byteOffset + file.length) as ArrayBuffer

describe('the face network', () => {
  it('answers with a box and a score for each of 896 anchors', () => {
    const data = new Float32Array(INPUT_SIDE * INPUT_SIDE * 3)
    const outputs = Network.read(model).run({ data, height: INPUT_SIDE, width: INPUT_SIDE, channels: 3 })
    expect(outputs.map((output) => output.data.length)).toEqual([896 * 16, 896])
    expect(outputs.every((output) => output.data.every(Number.isFinite))).toBe(true)
  })

  it.each([
    ['a black picture', () => 0],
    ['a white wall', () => 235],
    ['noise', (i: number) => (i * 7919) % 251],
  ])('finds no face in %s', (_, paint) => {
    const [width, height] = [128, 96]
    const data = new Uint8ClampedArray(width * height * 4).map((_, i) => paint(i))
    expect(findFaces(Network.read(model), { data, width, height })).toEqual([])
  })

  it('refuses a file that is no model', () => {
    expect(() => Network.read(new ArrayBuffer(64))).toThrow()
  })
})

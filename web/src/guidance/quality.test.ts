import { describe, expect, it } from 'vitest'
import type { Face } from '../detect/blazeface'
import { FrameClock, lightOn, Stillness } from './quality'

const picture = (paint: (x: number, y: number) => number) => {
  const [width, height] = [64, 48]
  const data = new Uint8ClampedArray(width * height * 4)
  for (let i = 0; i < width * height; i++) data.fill(paint(i % width, Math.floor(i / width)), 4 * i, 4 * i + 3)
  return { data, width, height }
}
const face = (x: number, y = 0.4): Face => ({
  x,
  y,
  width: 0.25,
  height: 0.4,
  score: 1,
  landmarks: Array.from({ length: 6 }, () => ({ x: x + 0.1, y: y + 0.2 })),
})

describe('light on a face', () => {
  it('is that of the face, not of the room', () => {
    const bright = picture((x) => (x < 32 ? 200 : 20))
    expect(lightOn(bright, face(0.1)).brightness).toBeCloseTo(200, 0)
    expect(lightOn(bright, face(0.7)).brightness).toBeCloseTo(20, 0)
  })

  it('is uneven when a lamp stands at one side', () => {
    expect(
      lightOn(
        picture((x) => (x < 32 ? 180 : 60)),
        face(0.375),
      ).unevenness,
    ).toBeCloseTo(0.5, 1)
    expect(
      lightOn(
        picture(() => 120),
        face(0.375),
      ).unevenness,
    ).toBe(0)
  })

  it('is clipped when the picture is white there', () => {
    expect(
      lightOn(
        picture(() => 255),
        face(0.3),
      ).clipped,
    ).toBe(1)
  })
})

describe('stillness', () => {
  it('is no speed for a face that stays', () => {
    const stillness = new Stillness()
    for (let at = 0; at < 2000; at += 200) expect(stillness.add(at, face(0.4), 4 / 3)).toBe(0)
  })

  it('is face heights a second for one that moves', () => {
    const stillness = new Stillness()
    let speed = 0
    for (let i = 0; i < 10; i++) speed = stillness.add(i * 200, face(0.2 + 0.03 * i), 4 / 3)
    expect(speed).toBeCloseTo((0.15 * (4 / 3)) / 0.4, 5)
  })
})

describe('the frame clock', () => {
  it('measures the rate of the camera', () => {
    const clock = new FrameClock()
    let rate: number | null = null
    for (let at = 0; at <= 4000; at += 200) rate = clock.rate(at, at * 0.03)
    expect(rate).toBeCloseTo(30, 5)
  })

  it('does not judge before it has seen enough, and sees a camera stop', () => {
    const clock = new FrameClock()
    expect(clock.rate(0, 0)).toBeNull()
    expect(clock.rate(600, 18)).toBeNull()
    expect(clock.rate(1200, 36)).toBeCloseTo(30, 5)
    expect(clock.rate(6000, 36)).toBeLessThan(8)
  })
})

import { describe, expect, it } from 'vitest'
import type { Face } from '../detect/blazeface'
import {
  begin,
  countedMs,
  problemIn,
  RECORDING_MS,
  RECOVERING_MS,
  SETTLING_MS,
  step,
  type Guidance,
  type Observation,
} from './guidance'

const FACE: Face = { x: 0.36, y: 0.28, width: 0.28, height: 0.4, score: 0.95, landmarks: [] }
const GOOD: Observation = {
  atMs: 0,
  faces: [FACE],
  light: { brightness: 120, clipped: 0, unevenness: 0.05 },
  speed: 0.02,
  frameRate: 30,
}
const AWAY: Partial<Observation> = { faces: [] }

/** Observes every 100 ms up to `untilMs`, and gives the states on the way. */
function watch(from: Guidance, untilMs: number, seen: Partial<Observation> = {}, insist = false): Guidance {
  let guidance = from
  for (let at = lastAt(from) + 100; at <= untilMs; at += 100) {
    guidance = { ...step(guidance, { ...GOOD, ...seen, atMs: at }, insist) }
    times.set(guidance, at)
  }
  return guidance
}
const times = new WeakMap<Guidance, number>()
const lastAt = (guidance: Guidance): number => times.get(guidance) ?? 0

describe('what is wrong', () => {
  it.each([
    ['no_face', { faces: [] }],
    ['several_faces', { faces: [FACE, { ...FACE, x: 0.7, height: 0.3 }] }],
    ['too_far', { faces: [{ ...FACE, x: 0.43, y: 0.4, height: 0.18 }] }],
    ['too_near', { faces: [{ ...FACE, y: 0.03, height: 0.94 }] }],
    ['off_centre', { faces: [{ ...FACE, x: 0.05 }] }],
    ['too_dark', { light: { brightness: 20, clipped: 0, unevenness: 0 } }],
    ['too_bright', { light: { brightness: 200, clipped: 0.5, unevenness: 0 } }],
    ['uneven_light', { light: { brightness: 120, clipped: 0, unevenness: 0.6 } }],
    ['moving', { speed: 1 }],
    ['slow_camera', { frameRate: 8 }],
  ] as const)('is %s', (problem, change) => {
    expect(problemIn({ ...GOOD, ...change })).toBe(problem)
  })

  it('is nothing in good conditions, nor with a small face in the background', () => {
    expect(problemIn(GOOD)).toBeNull()
    expect(problemIn({ ...GOOD, faces: [FACE, { ...FACE, x: 0.8, width: 0.05, height: 0.07 }] })).toBeNull()
  })

  it('shows no problem with faces where they cannot be detected', () => {
    expect(problemIn({ ...GOOD, faces: null, speed: 5 })).toBeNull()
  })

  it('does not call dark skin in a dim room too dark', () => {
    expect(problemIn({ ...GOOD, light: { brightness: 41, clipped: 0, unevenness: 0.1 } })).toBeNull()
  })
})

describe('a sitting', () => {
  it('settles for three seconds, then counts fifteen', () => {
    const settled = watch(begin(0), 100 + SETTLING_MS)
    expect(watch(begin(0), 100).phase).toBe('settling')
    expect(watch(begin(0), SETTLING_MS).phase).toBe('settling')
    expect(settled.phase).toBe('recording')
    expect(watch(settled, SETTLING_MS + RECORDING_MS).phase).toBe('recording')
    expect(watch(settled, 200 + SETTLING_MS + RECORDING_MS).phase).toBe('done')
  })

  it('does not begin while something is wrong', () => {
    const waiting = watch(begin(0), 60_000, AWAY)
    expect(waiting.phase).toBe('searching')
    expect(waiting.problem).toBe('no_face')
  })

  it('forgives a missed detection', () => {
    const recording = watch(begin(0), 5000)
    expect(watch(watch(recording, 5400, AWAY), 6000).phase).toBe('recording')
  })

  it('counts on after a recovery, without the time that was lost', () => {
    const recording = watch(begin(0), 8100)
    expect(countedMs(recording, 8100)).toBe(5000)
    const recovering = watch(recording, 9600, AWAY)
    expect(recovering.phase).toBe('recovering')
    expect(recovering.problem).toBe('no_face')
    expect(countedMs(recovering, 9600)).toBe(5000)
    const again = watch(recovering, 11_600)
    expect(again.phase).toBe('recording')
    expect(countedMs(again, 11_600)).toBeGreaterThan(6000)
    expect(countedMs(again, 11_600)).toBeLessThan(7000)
  })

  it('begins anew when a recovery takes too long', () => {
    const gone = watch(watch(begin(0), 8000), 8000 + RECOVERING_MS + 1000, AWAY)
    expect(gone.phase).toBe('searching')
    expect(gone.restarts).toBe(1)
    expect(countedMs(gone, 20_000)).toBe(0)
  })

  it('records in spite of everything when a person insists', () => {
    const waiting = watch(begin(0), 10_000, AWAY)
    expect(watch(waiting, 30_000, AWAY, true).phase).toBe('done')
  })

  it('reports that the camera is slow, and continues recording', () => {
    const recording = watch(watch(begin(0), 8000), 12_000, { frameRate: 8 })
    expect(recording.phase).toBe('recording')
    expect(recording.problem).toBe('slow_camera')
    expect(watch(recording, 12_100).problem).toBeNull()
  })

  it('stays done', () => {
    const done = watch(begin(0), 20_000)
    expect(watch(done, 40_000, AWAY).phase).toBe('done')
    expect(countedMs(done, 40_000)).toBe(RECORDING_MS)
  })
})

/**
 * Guidance for the user, and when recording counts: searching → settling → recording → recovering → done.
 *
 * A pure state machine. It advises and never locks out: a face that the browser's detector misses can still be
 * recorded by `insist`, and the server, not the page, judges the clip.
 */
import type { Face } from '../detect/blazeface'
import type { Light } from './quality'

export type Phase = 'searching' | 'settling' | 'recording' | 'recovering' | 'done'

/** What is wrong at the moment; one at a time, the first that applies. */
export const PROBLEMS = [
  'no_face',
  'several_faces',
  'too_far',
  'too_near',
  'off_centre',
  'too_dark',
  'too_bright',
  'uneven_light',
  'moving',
  'slow_camera',
] as const
export type Problem = (typeof PROBLEMS)[number]

export interface Observation {
  readonly atMs: number
  /** Best first; null if faces can't be detected. */
  readonly faces: readonly Face[] | null
  readonly light: Light | null
  /** Face heights a second. */
  readonly speed: number
  /** Frames a second; null while not known. */
  readonly frameRate: number | null
}

export interface Guidance {
  readonly phase: Phase
  readonly problem: Problem | null
  /** When the present phase began. */
  readonly sinceMs: number
  /** When this attempt began. */
  readonly beganMs: number
  /** How much good recording has been counted, without the present stretch. */
  readonly countedMs: number
  /** Since when the present problem has been there, or has not. */
  readonly problemSinceMs: number
  readonly clearSinceMs: number
  /** Goes up when a recording had to be given up and begun anew. */
  readonly restarts: number
}

export const SETTLING_MS = 3000
export const RECORDING_MS = 15_000
/** A problem shorter than this is a missed detection or a blink, not a problem. */
const PATIENCE_MS = 500
/** Conditions must hold for so long before counting goes on. */
const RECOVERED_MS = 500
/** After so long in one recovery, a fresh recording is worth more than a clip with a hole. */
export const RECOVERING_MS = 2500

/** Shown, but they do not stop a recording: waiting does not fix them, and the server checks the clip. */
const HINTS: ReadonlySet<Problem> = new Set(['slow_camera'])

/**
 * The page's own thresholds. Distance: the server's face check requires a fifth of the picture's height. The rest leaves room to
 * what real clips with a readable pulse show: faces of up to 0.81 of the height, a brightness of 41 (dark skin, dim
 * room), an unevenness of 0.19; seated people move at 0.03 face heights a second, and the fidgety at 0.13.
 */
const LIMITS = {
  nearestHeight: 0.9,
  farthestHeight: 0.2,
  offCentreX: 0.16,
  offCentreY: 0.22,
  /** A second face counts from this share of the first one's height. */
  otherFaceHeight: 0.5,
  darkest: 30,
  clipped: 0.2,
  unevenness: 0.35,
  speed: 0.35,
  slowest: 15,
} as const

export function begin(atMs: number): Guidance {
  return {
    phase: 'searching',
    problem: 'no_face',
    sinceMs: atMs,
    beganMs: atMs,
    countedMs: 0,
    problemSinceMs: atMs,
    clearSinceMs: atMs,
    restarts: 0,
  }
}

/** The first thing that is wrong, or null. */
export function problemIn({ faces, light, speed, frameRate }: Observation): Problem | null {
  if (faces) {
    const face = faces[0]
    if (!face) return 'no_face'
    if (faces.slice(1).some((other) => other.height >= LIMITS.otherFaceHeight * face.height)) return 'several_faces'
    if (face.height < LIMITS.farthestHeight) return 'too_far'
    if (face.height > LIMITS.nearestHeight) return 'too_near'
    if (Math.abs(face.x + face.width / 2 - 0.5) > LIMITS.offCentreX) return 'off_centre'
    if (Math.abs(face.y + face.height / 2 - 0.5) > LIMITS.offCentreY) return 'off_centre'
  }
  if (light) {
    if (light.brightness < LIMITS.darkest) return 'too_dark'
    if (light.clipped > LIMITS.clipped) return 'too_bright'
    if (faces && light.unevenness > LIMITS.unevenness) return 'uneven_light'
  }
  if (faces && speed > LIMITS.speed) return 'moving'
  if (frameRate !== null && frameRate < LIMITS.slowest) return 'slow_camera'
  return null
}

/** The next state. `insist`: record regardless of the observation. */
export function step(before: Guidance, observation: Observation, insist = false): Guidance {
  const { atMs } = observation
  if (before.phase === 'done') return before
  const seen = problemIn(observation)
  const now: Guidance = {
    ...before,
    problemSinceMs: seen === null ? atMs : before.problemSinceMs,
    clearSinceMs: seen === null ? before.clearSinceMs : atMs,
  }
  const disturbed = !insist && seen !== null && !HINTS.has(seen) && atMs - now.problemSinceMs >= PATIENCE_MS
  const enter = (phase: Phase, change: Partial<Guidance> = {}): Guidance => ({
    ...now,
    phase,
    sinceMs: atMs,
    ...change,
  })

  switch (before.phase) {
    case 'searching':
      if (seen === null || insist) return enter('settling', { problem: null, countedMs: 0 })
      return { ...now, problem: seen }
    case 'settling':
      if (disturbed) return enter('searching', { problem: seen })
      if (atMs - before.sinceMs >= SETTLING_MS) return enter('recording', { problem: null, countedMs: 0 })
      return now
    case 'recording': {
      if (countedMs(now, atMs) >= RECORDING_MS) return enter('done', { problem: null, countedMs: RECORDING_MS })
      // What was counted since the problem began is discarded.
      if (disturbed) return enter('recovering', { problem: seen, countedMs: countedMs(before, now.problemSinceMs) })
      return { ...now, problem: seen !== null && HINTS.has(seen) ? seen : null }
    }
    case 'recovering':
      if (!insist && seen !== null && HINTS.has(seen)) return enter('recording', { problem: seen })
      if (seen === null && atMs - now.clearSinceMs >= RECOVERED_MS) return enter('recording', { problem: null })
      if (insist) return enter('recording', { problem: null })
      if (atMs - before.sinceMs >= RECOVERING_MS) {
        return enter('searching', {
          problem: seen ?? before.problem,
          countedMs: 0,
          beganMs: atMs,
          restarts: before.restarts + 1,
        })
      }
      return { ...now, problem: seen ?? before.problem }
  }
}

/** Good recording so far. */
export function countedMs(guidance: Guidance, atMs: number): number {
  if (guidance.phase === 'done') return RECORDING_MS
  if (guidance.phase === 'recovering') return guidance.countedMs
  if (guidance.phase !== 'recording') return 0
  return Math.min(RECORDING_MS, guidance.countedMs + Math.max(0, atMs - guidance.sinceMs))
}

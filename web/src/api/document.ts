/** The job document and its parts, as the gateway gives them (shared/schemas.py). */
import type {
  BRANCHES,
  BRANCH_STATUSES,
  CHECKS,
  CHECK_STATUSES,
  ERROR_CODES,
  JOB_STATES,
  MEASURES,
  REASONS,
  VITALS,
  VITAL_STATUSES,
} from './contract'

export type VitalName = (typeof VITALS)[number]
export type MeasureName = (typeof MEASURES)[number]
export type CheckName = (typeof CHECKS)[number]
export type Reason = (typeof REASONS)[number]
export type JobState = (typeof JOB_STATES)[number]
export type VitalStatus = (typeof VITAL_STATUSES)[number]
export type CheckStatus = (typeof CHECK_STATUSES)[number]
export type BranchName = keyof typeof BRANCHES
export type BranchStatus = (typeof BRANCH_STATUSES)[number]
export type ErrorCode = (typeof ERROR_CODES)[number]

export type Interval = readonly [number, number]

export interface Problem {
  readonly code: ErrorCode
  readonly detail: string
}

export interface ClipFacts {
  readonly duration_s: number
  readonly frames: number
  readonly fps: number
  readonly width: number
  readonly height: number
  readonly container: string
  readonly codec: string
  readonly bytes: number
  readonly sha256: string
}

export interface BranchReport {
  readonly status: BranchStatus
  readonly elapsed_ms: number | null
  readonly error: Problem | null
}

export interface Check {
  readonly status: CheckStatus
  readonly score: number | null
  readonly reason: Reason | null
  readonly detail: string | null
  readonly votes?: Readonly<Record<string, number>> | null
}

export interface Measure {
  readonly value: number | null
  readonly unit: string | null
  readonly status: VitalStatus
  readonly reason: Reason | null
  readonly interval: Interval | null
  readonly interval_level: number | null
}

export interface Vital extends Omit<Measure, 'value'> {
  readonly value: number | string | Readonly<Record<string, Measure>> | null
  readonly detail: string | null
  readonly probability: number | null
  readonly score: number | null
  readonly baseline: { readonly value: number; readonly mae: number; readonly source: string } | null
  readonly method: {
    readonly name: string
    readonly version: string
    readonly models: readonly string[]
    readonly frames: number | null
  } | null
}

export interface JobDocument {
  readonly id: string
  readonly state: JobState
  readonly created_at: string
  readonly finished_at: string | null
  readonly clip: ClipFacts | null
  readonly branches: Partial<Readonly<Record<BranchName, BranchReport>>>
  readonly checks: Partial<Readonly<Record<CheckName, Check>>>
  readonly vitals: Partial<Readonly<Record<VitalName, Vital>>>
  readonly error: Problem | null
  readonly versions: Readonly<Record<string, string>>
  readonly notice: string
}

export interface Wave {
  readonly times_s: readonly number[]
  readonly values: readonly number[]
  readonly unit: string | null
}

export interface Spectrum {
  readonly rates_per_min: readonly number[]
  readonly power: readonly number[]
}

export interface Waveforms {
  readonly waves: Readonly<Record<string, Wave>>
  readonly spectra: Readonly<Record<string, Spectrum>>
}

/** A state that only a newer gateway knows is one to wait in. */
export const isFinal = (state: JobState): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled'

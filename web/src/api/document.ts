/** The types of the API, as openapi-typescript writes them, and what the page derives from them. */
import { REJECTIONS } from './contract'
import type {
  BranchEvent,
  CheckEvent,
  DoneEvent,
  JobDocument,
  JobState,
  Problem,
  StageEvent,
  StateEvent,
  VariabilityMeasures,
  VitalEvent,
  Vitals,
} from './openapi'

export type {
  Branch as BranchName,
  BranchReport,
  BranchStatus,
  Check,
  CheckName,
  CheckStatus,
  ClipWarning,
  ErrorCode,
  JobDocument,
  JobState,
  Measure,
  Reason,
  Spectrum,
  VitalName,
  VitalStatus,
  Vitals,
  Wave,
  Waveforms,
  WarningCode,
} from './openapi'

/** Any of the vitals. */
export type Vital = NonNullable<Vitals[keyof Vitals]>
export type MeasureName = keyof VariabilityMeasures
export type Interval = readonly [number, number]

/** An event of a job's stream: its name, and its data, whose type depends on the name. */
export type JobEvent =
  | { readonly name: 'state'; readonly data: StateEvent }
  | { readonly name: 'branch'; readonly data: BranchEvent }
  | { readonly name: 'stage'; readonly data: StageEvent }
  | { readonly name: 'check'; readonly data: CheckEvent }
  | { readonly name: 'vital'; readonly data: VitalEvent }
  | { readonly name: 'done'; readonly data: DoneEvent }

const REJECTING: ReadonlySet<string> = new Set(REJECTIONS)

/** Why the clip was rejected, by the document or by the first branch that reports it; null if it was not. */
export function rejection({ error, branches }: JobDocument): Problem | null {
  const problems = [error, ...Object.values(branches).map((report) => report?.error)]
  return problems.find((problem) => problem && REJECTING.has(problem.code)) ?? null
}

/** An unknown state of a newer gateway is not final. */
export const isFinal = (state: JobState): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled'

/** The types of the API, as openapi-typescript writes them, and what the page derives from them. */
import type {
  BranchEvent,
  CheckEvent,
  DoneEvent,
  JobState,
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

/** An unknown state of a newer gateway is not final. */
export const isFinal = (state: JobState): boolean =>
  state === 'succeeded' || state === 'failed' || state === 'cancelled'

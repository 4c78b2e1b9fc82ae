/** The shape of a language: every text that a person reads. A missing one does not compile. */
import type {
  BranchName,
  BranchStatus,
  CheckName,
  CheckStatus,
  ErrorCode,
  MeasureName,
  Reason,
  VitalName,
  VitalStatus,
  WarningCode,
} from '../api/document'
import type { CameraTrouble } from '../capture/camera'
import type { Phase, Problem } from '../guidance/guidance'
import type { NotVideo } from '../start/clipFile'

type Titled = readonly [title: string, text: string]
/** The problem, as it follows "could not tell:", and what to do about it. */
type Advice = readonly [what: string, todo: string]

export interface Strings {
  language: string
  title: string
  skip: string
  notice: string
  licences: string
  settings: { language: string; theme: string; themes: Record<'system' | 'light' | 'dark', string> }
  consent: {
    heading: string
    lead: string
    promise: string
    sent: Titled
    kept: Titled
    erased: Titled
    agree: string
    upload: string
    uploadHint: string
  }
  /** Why a chosen file is not uploaded, and what to do. */
  files: Record<NotVideo, string>
  capture: {
    heading: string
    camera: string
    cameraNumbered: (n: string) => string
    cancel: string
    restart: string
    insist: string
    insistHint: string
    starting: string
    unchecked: string
    video: string
    secondsLeft: (seconds: number) => string
    restarted: string
    interrupted: string
    phases: Record<Phase, string>
    sentences: Record<'settling' | 'recording' | 'done', string>
    problems: Record<Problem, string>
    trouble: Record<CameraTrouble | 'heading' | 'retry', string>
  }
  job: {
    heading: Record<'busy' | 'done' | 'failed' | 'cancelled', string>
    uploading: string
    uploaded: (percent: number) => string
    queued: string
    /** With the seconds that the jobs before it are expected to take. */
    queuedFor: (seconds: number) => string
    queuedLong: string
    stage: (branch: string, stage: string) => string
    branches: Record<BranchName, string>
    branchStatus: Record<BranchStatus, string>
    /** By the names that workers give them; one that is not here is shown as it is. */
    stages: Readonly<Record<string, string>>
    link: Record<'polling' | 'reconnecting', string>
    clipErased: string
    again: string
    vitals: string
    waves: string
    checks: string
    warnings: string
    pending: string
    kinds: Record<VitalStatus, string>
    couldNotTell: (reason: string) => string
    notAvailable: (reason: string) => string
    noReading: string
    interval: (low: string, high: string, percent: number) => string
    noInterval: string
    typical: (low: string, high: string) => string
    barLabel: (value: string, interval: string, typical: string) => string
    experimental: string
    probability: (percent: number) => string
    score: (score: string) => string
    how: string
    method: (name: string, version: string) => string
    models: (names: string) => string
    frames: (count: number) => string
    baseline: (value: string, mae: string) => string
    downloads: Record<'heading' | 'json' | 'fhir' | 'csv', string>
    delete: Record<'now' | 'explain' | 'cancel' | 'done' | 'doneLead' | 'failed', string>
    gone: string
    goneLead: string
  }
  failures: {
    heading: string
    keyHeading: string
    network: string
    tooLarge: string
    notVideo: string
    key: string
    keyLabel: string
    keyUse: string
    busy: (seconds: number | null) => string
    paused: string
    away: string
    other: (detail: string) => string
    recording: string
    /** Something that the page can't show. */
    unshown: string
    unshownHeading: string
    retry: string
    resend: string
    back: string
  }
  vitals: Record<VitalName, string>
  measures: Record<MeasureName, string>
  units: Readonly<Record<string, string>>
  values: Readonly<Record<string, string>>
  checks: Record<CheckName, string>
  verdicts: Record<CheckStatus, string>
  reasons: Record<Reason, Advice>
  errors: Record<ErrorCode, string>
  /** What was unusual about a video that was analysed. */
  warnings: Record<WarningCode, string>
  plots: {
    pulse: string
    breathing: string
    pulseSpectrum: string
    breathingSpectrum: string
    seconds: string
    perMinute: string
    describeWave: (name: string, seconds: string) => string
    describeSpectrum: (name: string, peak: string) => string
  }
}

/**
 * Run-time checks of responses, as far as the page relies on them. A captive portal or a proxy may answer in the gateway's
 * place with a status of success, and connections break off. States, reasons and fields of a newer gateway are accepted.
 */
import type { JobDocument, Waveforms } from './document'

type Guard = (value: unknown) => boolean

const text: Guard = (value) => typeof value === 'string'
const number: Guard = (value) => typeof value === 'number'
const record = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const maybe =
  (guard: Guard): Guard =>
  (value) =>
    value === null || value === undefined || guard(value)
const list =
  (guard: Guard): Guard =>
  (value) =>
    Array.isArray(value) && value.every(guard)
const each =
  (guard: Guard): Guard =>
  (value) =>
    record(value) && Object.values(value).every(guard)
const shape =
  (fields: Readonly<Record<string, Guard>>): Guard =>
  (value) =>
    record(value) && Object.entries(fields).every(([name, guard]) => guard(value[name]))

const pair: Guard = (value) => Array.isArray(value) && value.length === 2 && value.every(number)
const measured = {
  unit: maybe(text),
  status: text,
  reason: maybe(text),
  interval: maybe(pair),
  interval_level: maybe(number),
}
const measure = shape({ ...measured, value: maybe(number) })
const vital = shape({
  ...measured,
  value: (value) => value === null || number(value) || text(value) || each(measure)(value),
  detail: maybe(text),
  probability: maybe(number),
  score: maybe(number),
  baseline: maybe(shape({ value: number, mae: number })),
  method: maybe(shape({ name: text, version: text, models: list(text), frames: maybe(number) })),
})
const check = shape({ status: text, reason: maybe(text) })
const problem = shape({ code: text, detail: text })
const report = shape({ status: text, error: maybe(problem) })

const jobDocument = shape({
  id: (value) => text(value) && value !== '',
  state: text,
  branches: each(report),
  checks: each(check),
  vitals: each(vital),
  error: maybe(problem),
  warnings: maybe(list(problem)),
})
const waveforms = shape({
  waves: each(shape({ times_s: list(number), values: list(number) })),
  spectra: each(shape({ rates_per_min: list(number), power: list(number) })),
})
const events: Readonly<Record<string, Guard>> = {
  state: shape({ state: text }),
  stage: shape({ branch: text, stage: text }),
  vital: shape({ name: text, vital }),
  check: shape({ name: text, check }),
  branch: shape({ branch: text, report }),
  done: () => true,
}

export const isJobDocument = (value: unknown): value is JobDocument => jobDocument(value)
export const isWaveforms = (value: unknown): value is Waveforms => waveforms(value)
export const isBundle = (value: unknown): boolean => record(value) && value['resourceType'] === 'Bundle'
/** Whether this is a known event with valid data. */
export const isJobEvent = (name: string, data: unknown): boolean => events[name]?.(data) ?? false

/** Parses JSON; undefined if the text is not JSON. */
export function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown
  } catch {
    return undefined
  }
}

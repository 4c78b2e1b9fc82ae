/** The scale each number is drawn on, and what is typical for resting adults. */
import type { MeasureName, VitalName } from '../api/document'

export interface Scale {
  /** Ends of the drawn scale; a value beyond widens it. */
  readonly from: number
  readonly to: number
  /** null where no range is accepted. */
  readonly typical: readonly [number, number] | null
  readonly digits: number
}

/**
 * Resting heart rate: American Heart Association. Breathing rate: Flenady et al. 2017. Saturation: WHO pulse oximetry
 * manual 2011. Body-mass index: WHO. Variability has none here: the published norms are of five minutes and more.
 */
export const SCALES: Partial<Record<VitalName | MeasureName, Scale>> = {
  heart_rate: { from: 40, to: 140, typical: [60, 100], digits: 0 },
  respiration_rate: { from: 4, to: 32, typical: [12, 20], digits: 0 },
  oxygen_saturation: { from: 85, to: 100, typical: [95, 100], digits: 0 },
  age: { from: 0, to: 100, typical: null, digits: 0 },
  bmi: { from: 15, to: 40, typical: [18.5, 25], digits: 1 },
  sdnn_ms: { from: 0, to: 120, typical: null, digits: 0 },
  rmssd_ms: { from: 0, to: 120, typical: null, digits: 0 },
  pnn50: { from: 0, to: 100, typical: null, digits: 0 },
  lf_hf: { from: 0, to: 12, typical: null, digits: 1 },
  mean_ibi_ms: { from: 400, to: 1600, typical: [600, 1000], digits: 0 },
}

/** Returns a function from a value to its position in percent, on the scale widened to hold `all`. */
export function toPercent(scale: Scale, all: readonly number[]): (value: number) => number {
  const from = Math.min(scale.from, ...all)
  const to = Math.max(scale.to, ...all)
  return (value) => ((value - from) / (to - from)) * 100
}

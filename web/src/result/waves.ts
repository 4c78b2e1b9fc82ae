import type { Waveforms } from '../api/document'

/** Waves as CSV (RFC 4180), a sample a line; times count from the clip's first frame. */
export function wavesAsCsv({ waves }: Waveforms): Blob {
  const lines = ['wave,time_s,value']
  for (const [name, { times_s, values }] of Object.entries(waves)) {
    times_s.forEach((time, i) => lines.push(`${name},${time},${values[i] ?? ''}`))
  }
  return new Blob([lines.join('\r\n') + '\r\n'], { type: 'text/csv' })
}

/** The rate with the most power. */
export function peak(rates: readonly number[], power: readonly number[]): number | null {
  let best = -1
  power.forEach((value, i) => {
    if (best < 0 || value > (power[best] as number)) best = i
  })
  return rates[best] ?? null
}

import type { Interval } from '../api/document'
import { useSpeech } from '../strings/context'
import { toPercent, type Scale } from './scales'

interface Props {
  readonly scale: Scale
  readonly value: number | null
  readonly interval: Interval | null
  readonly label: string
}

/** A value and its interval on the scale of what is typical; without a value the scale stands alone. */
export function IntervalBar({ scale, value, interval, label }: Props) {
  const { number } = useSpeech()
  const known = [...(value === null ? [] : [value]), ...(interval ?? [])]
  const place = toPercent(scale, known)
  const from = Math.min(scale.from, ...known)
  const to = Math.max(scale.to, ...known)
  const band = ([low, high]: Interval): { x: string; width: string } => ({
    x: `${place(low)}%`,
    width: `${Math.max(0.8, place(high) - place(low))}%`,
  })
  return (
    <div className="bar">
      <svg width="100%" height="22" role="img" aria-label={label}>
        <rect className="bar-track" x="0" y="8" width="100%" height="6" rx="3" />
        {scale.typical && <rect className="bar-typical" {...band(scale.typical)} y="8" height="6" rx="3" />}
        {interval && <rect className="bar-interval" {...band(interval)} y="5" height="12" rx="4" />}
        {value !== null && (
          <line className="bar-value" x1={`${place(value)}%`} x2={`${place(value)}%`} y1="1" y2="21" />
        )}
      </svg>
      <div className="bar-ends" aria-hidden="true">
        <span>{number(from, from % 1 ? 1 : 0)}</span>
        <span>{number(to, to % 1 ? 1 : 0)}</span>
      </div>
    </div>
  )
}

import type { ReactNode } from 'react'
import type { Measure, MeasureName, Vital, VitalName } from '../api/document'
import { useSpeech, type Speech } from '../strings/context'
import { because, plain } from '../strings/words'
import { IntervalBar } from './IntervalBar'
import { SCALES } from './scales'

/** One vital: its value and interval, or the reason for its absence and what to do. */
export function VitalCard({ name, vital }: { readonly name: VitalName; readonly vital: Vital | undefined }) {
  const { strings } = useSpeech()
  const heading = `vital-${name}`
  return (
    <article
      className="card vital"
      aria-labelledby={heading}
      aria-busy={!vital}
      data-vital={name}
      data-status={vital?.status ?? 'pending'}
    >
      <header>
        <h3 id={heading}>{strings.vitals[name]}</h3>
        <span className="badge">
          {vital ? (strings.job.kinds[vital.status] ?? plain(vital.status)) : strings.job.pending}
        </span>
      </header>
      {vital ? <Result name={name} vital={vital} /> : <Pending />}
    </article>
  )
}

function Pending() {
  return (
    <div className="pending" aria-hidden="true">
      <span />
      <span />
    </div>
  )
}

function Result({ name, vital }: { readonly name: VitalName; readonly vital: Vital }) {
  const { strings } = useSpeech()
  return (
    <>
      {vital.value === null && <NoValue status={vital.status} reason={vital.reason} scaleOf={name} />}
      {typeof vital.value === 'number' && <NumberWithInterval name={name} measure={{ ...vital, value: vital.value }} />}
      {typeof vital.value === 'string' && <Label vital={vital} value={vital.value} />}
      {vital.value !== null && typeof vital.value === 'object' && <Measures measures={vital.value} />}
      {vital.status === 'experimental' && <p className="note">{strings.job.experimental}</p>}
      {vital.value !== null && vital.reason && <p className="note">{limitation(because(strings, vital.reason))}</p>}
      <Details vital={vital} />
    </>
  )
}

type Numbered = Measure & { readonly value: number }

function NumberWithInterval({ name, measure }: { readonly name: VitalName | MeasureName; readonly measure: Numbered }) {
  const speech = useSpeech()
  const { strings, number } = speech
  const scale = SCALES[name]
  const digits = scale?.digits ?? 1
  const unit = measure.unit ? (strings.units[measure.unit] ?? measure.unit) : ''
  const interval = intervalText(measure, digits, speech)
  const typical = scale?.typical
    ? strings.job.typical(number(scale.typical[0], digits), number(scale.typical[1], digits))
    : ''
  return (
    <>
      <p className="reading">
        <span className="value">{number(measure.value, digits)}</span> <span className="unit">{unit}</span>
      </p>
      {scale && (
        <IntervalBar
          scale={scale}
          value={measure.value}
          interval={measure.interval}
          label={strings.job.barLabel(`${number(measure.value, digits)} ${unit}`, interval, typical)}
        />
      )}
      <p className="interval">{interval || strings.job.noInterval}</p>
      {typical && <p className="typical">{typical}</p>}
    </>
  )
}

function intervalText({ interval, interval_level }: Measure, digits: number, { strings, number }: Speech): string {
  if (!interval) return ''
  const [low, high] = interval
  // Rounded outward, so that the text never claims a narrower interval.
  const step = 10 ** digits
  return strings.job.interval(
    number(Math.floor(low * step) / step, digits),
    number(Math.ceil(high * step) / step, digits),
    Math.round((interval_level ?? 0.9) * 100),
  )
}

function Label({ vital, value }: { readonly vital: Vital; readonly value: string }) {
  const { strings, number } = useSpeech()
  return (
    <>
      <p className="reading">
        <span className="value word">{strings.values[value] ?? value}</span>
      </p>
      {typeof vital.probability === 'number' && (
        <p className="interval">{strings.job.probability(Math.min(99, Math.round(vital.probability * 100)))}</p>
      )}
      {typeof vital.score === 'number' && <p className="interval">{strings.job.score(number(vital.score, 1))}</p>}
    </>
  )
}

function NoValue(props: {
  readonly status: Measure['status']
  readonly reason: Measure['reason']
  readonly scaleOf: VitalName
}) {
  const { strings } = useSpeech()
  const scale = SCALES[props.scaleOf]
  return (
    <>
      <p className="reading">
        <span className="value none">{strings.job.noReading}</span>
      </p>
      {scale && <IntervalBar scale={scale} value={null} interval={null} label={strings.job.noReading} />}
      <Why status={props.status} reason={props.reason} />
    </>
  )
}

function Why({ status, reason }: { readonly status: Measure['status']; readonly reason: Measure['reason'] }) {
  const { strings } = useSpeech()
  const [what, todo] = reason ? because(strings, reason) : ['', '']
  const sentenceOf = status === 'unavailable' ? strings.job.notAvailable : strings.job.couldNotTell
  return (
    <>
      <p className="why">{sentenceOf(what)}.</p>
      <p className="todo">{todo}</p>
    </>
  )
}

function Measures({ measures }: { readonly measures: Readonly<Record<string, Measure>> }) {
  const speech = useSpeech()
  const { strings, number } = speech
  return (
    <dl className="measures">
      {Object.entries(measures).map(([name, measure]) => {
        const known = strings.measures[name as MeasureName] ?? name
        const digits = SCALES[name as MeasureName]?.digits ?? 1
        const unit = measure.unit ? (strings.units[measure.unit] ?? measure.unit) : ''
        const interval = intervalText(measure, digits, speech)
        return (
          <div key={name} data-measure={name} data-status={measure.status}>
            <dt>{known}</dt>
            <dd>
              {typeof measure.value !== 'number' ? (
                <>
                  <span className="none">{strings.job.noReading}</span>
                  <small>{measure.reason && because(strings, measure.reason)[0]}</small>
                </>
              ) : (
                <>
                  <span>
                    {number(measure.value, digits)} {unit}
                  </span>
                  <small>
                    {[measure.status === 'experimental' ? strings.job.kinds.experimental : '', interval]
                      .filter(Boolean)
                      .join(' · ')}
                  </small>
                </>
              )}
            </dd>
          </div>
        )
      })}
    </dl>
  )
}

const sentence = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Why a value that is given is of limited use, and what to do. */
const limitation = ([what, todo]: readonly [string, string]): string => `${sentence(what)}. ${todo}`.trim()

function Details({ vital }: { readonly vital: Vital }) {
  const { strings, number } = useSpeech()
  const lines: ReactNode[] = []
  // The server's details are in English in every language of the page.
  if (vital.detail) lines.push(<span lang="en">{sentence(vital.detail)}</span>)
  if (vital.method) {
    lines.push(strings.job.method(vital.method.name, vital.method.version))
    if (vital.method.models.length) lines.push(strings.job.models(vital.method.models.join(', ')))
    if (typeof vital.method.frames === 'number') lines.push(strings.job.frames(vital.method.frames))
  }
  if (vital.baseline) lines.push(strings.job.baseline(number(vital.baseline.value, 1), number(vital.baseline.mae, 1)))
  if (!lines.length) return null
  return (
    <details>
      <summary>{strings.job.how}</summary>
      <ul>
        {lines.map((line, i) => (
          <li key={i}>{line}</li>
        ))}
      </ul>
    </details>
  )
}

import { useEffect, useState } from 'react'
import { erase, getFhir, getWaveforms } from '../api/client'
import { BRANCHES, VITALS } from '../api/contract'
import { isFinal, rejection, type BranchName, type JobDocument, type Waveforms } from '../api/document'
import { Checks } from '../result/Checks'
import { save } from '../result/download'
import { VitalCard } from '../result/VitalCard'
import { Warnings } from '../result/Warnings'
import { Waves } from '../result/Waves'
import { wavesAsCsv } from '../result/waves'
import { Heading } from '../start/Heading'
import { useSpeech, useStrings } from '../strings/context'
import type { Strings } from '../strings/strings'
import { because, plain } from '../strings/words'
import { Boundary } from './Boundary'
import { Failure } from './Failure'
import { useJob, type Source } from './useJob'
import type { JobView } from './view'

interface Props {
  readonly source: Source
  readonly onId: (id: string) => void
  readonly onErased: () => void
  readonly onLeave: () => void
}

/** One job from its upload to its result. */
export function JobScreen({ source, onId, onErased, onLeave }: Props) {
  const { view, again } = useJob(source, onId)
  const strings = useStrings()
  const { document } = view
  const extras = useExtras(document)
  if (view.failure) return <Failure failure={view.failure} again={again} onLeave={onLeave} />
  const final = document !== null && isFinal(document.state)
  const heading = headingOf(document, strings)
  const rejected = document && document.state !== 'succeeded' ? rejection(document) : null
  const problem = document?.error ?? rejected
  return (
    <section className="job" data-screen="job" data-state={document?.state ?? 'uploading'} data-link={view.link}>
      <Heading>{heading}</Heading>
      {/* The heading changes while the focus is elsewhere: this announces it to screen readers. */}
      <p className="unseen" role="status">
        {final ? heading : ''}
      </p>
      {problem && <p className="lead">{strings.errors[problem.code] ?? problem.detail}</p>}
      {document?.state === 'succeeded' && <NoVitals vitals={document.vitals} />}
      {document && final && <Warnings warnings={document.warnings ?? []} />}
      {!final && <Progress view={view} />}
      {/* The sentence above explains a rejected clip; cards would repeat it for every vital. */}
      {document && !rejected && (document.state === 'succeeded' || !final) && (
        <>
          <h2 className="unseen">{strings.job.vitals}</h2>
          <div className="vitals">
            {VITALS.map((name) => (
              <VitalCard key={name} name={name} vital={document.vitals[name]} />
            ))}
          </div>
          <div className="lower">
            {extras.waveforms && (
              // A plot that can't be drawn or loaded must not hide the vitals.
              <Boundary fallback={() => null}>
                <section className="card">
                  <h2>{strings.job.waves}</h2>
                  <Waves waveforms={extras.waveforms} vitals={document.vitals} />
                </section>
              </Boundary>
            )}
            {Object.keys(document.checks).length > 0 && (
              <section className="card">
                <h2>{strings.job.checks}</h2>
                <Checks checks={document.checks} final={final} />
              </section>
            )}
          </div>
        </>
      )}
      {document && <SaveOrDelete document={document} extras={extras} ours={'clip' in source} onErased={onErased} />}
      {final && (
        <div className="actions">
          <button type="button" className="primary" onClick={onLeave}>
            {strings.job.again}
          </button>
        </div>
      )}
    </section>
  )
}

/** If no vital has a value: the reason and what to do, above the cards. */
function NoVitals({ vitals }: { readonly vitals: JobDocument['vitals'] }) {
  const strings = useStrings()
  const reason = vitals.heart_rate?.reason
  if (!reason || Object.values(vitals).some(({ value }) => value !== null)) return null
  const [what, todo] = because(strings, reason)
  return (
    <p className="lead">
      {what.charAt(0).toUpperCase() + what.slice(1)}. {todo}
    </p>
  )
}

function headingOf(document: JobDocument | null, { job }: Strings): string {
  switch (document?.state) {
    case 'succeeded':
      return job.heading.done
    case 'failed':
      return job.heading.failed
    case 'cancelled':
      return job.heading.cancelled
    default:
      return job.heading.busy
  }
}

/** What else a job that has succeeded provides; null before that, or if the gateway has none. */
interface Extras {
  readonly waveforms: Waveforms | null
  readonly fhir: Blob | null
}
const NO_EXTRAS: Extras = { waveforms: null, fhir: null }

function useExtras(document: JobDocument | null): Extras {
  const [extras, setExtras] = useState(NO_EXTRAS)
  const id = document?.state === 'succeeded' ? document.id : null
  useEffect(() => {
    if (id === null) return
    const leaving = new AbortController()
    const add = (found: Partial<Extras>): void => setExtras((known) => ({ ...known, ...found }))
    getWaveforms(id, leaving.signal).then((waveforms) => {
      if (Object.keys(waveforms.waves).length > 0) add({ waveforms })
    }, ignore)
    getFhir(id, leaving.signal).then((fhir) => add({ fhir }), ignore)
    return () => leaving.abort()
  }, [id])
  return id === null ? NO_EXTRAS : extras
}

/** A gateway without it is not an error: the download is not offered. */
const ignore = (): void => {}

/** Queued for longer than this, and than twice the expected wait, the job may be waiting for a worker that is not running. */
const LONG_MS = 8000
/** Shorter waits are over before they are read. */
const SHORT_S = 2

function waiting(words: Strings['job'], waitS: number): string {
  return waitS < SHORT_S ? words.queued : words.queuedFor(Math.ceil(waitS))
}

function Progress({ view }: { readonly view: JobView }) {
  const strings = useStrings()
  const queued = view.document?.state === 'queued'
  const waitS = view.document?.expected_wait_s ?? 0
  const long = useAfter(Math.max(LONG_MS, 2000 * waitS), queued)
  if (view.uploaded !== null) {
    const percent = Math.round(view.uploaded * 100)
    return (
      <div className="card progress">
        <p id="upload-label">{strings.job.uploading}</p>
        <progress max={100} value={percent} aria-labelledby="upload-label" />
        <p aria-hidden="true">{strings.job.uploaded(percent)}</p>
      </div>
    )
  }
  return (
    <div className="card progress" role="status">
      {queued && <p>{long ? strings.job.queuedLong : waiting(strings.job, waitS)}</p>}
      <ul className="branches">
        {(Object.keys(BRANCHES) as BranchName[]).map((branch) => (
          <Branch key={branch} branch={branch} view={view} />
        ))}
      </ul>
      {view.link !== 'events' && <p className="hint">{strings.job.link[view.link]}</p>}
    </div>
  )
}

function Branch({ branch, view }: { readonly branch: BranchName; readonly view: JobView }) {
  const strings = useStrings()
  const status = view.document?.branches[branch]?.status ?? 'pending'
  const stage = view.stages[branch]
  const busy = status === 'pending' || status === 'running'
  const doing =
    busy && stage ? (strings.job.stages[stage] ?? plain(stage)) : (strings.job.branchStatus[status] ?? plain(status))
  return (
    <li data-branch={branch} data-status={status}>
      {strings.job.stage(strings.job.branches[branch], doing)}
    </li>
  )
}

/** True once `active` has lasted for so long. */
function useAfter(ms: number, active: boolean): boolean {
  const [over, setOver] = useState(false)
  useEffect(() => {
    if (!active) return
    const timer = setTimeout(() => setOver(true), ms)
    return () => {
      clearTimeout(timer)
      setOver(false)
    }
  }, [ms, active])
  return over
}

interface SaveOrDeleteProps {
  readonly document: JobDocument
  readonly extras: Extras
  /** Whether this page sent the clip, which is then not retained. */
  readonly ours: boolean
  readonly onErased: () => void
}

/** Downloads of the result, and the button that deletes the job. */
function SaveOrDelete({ document, extras, ours, onErased }: SaveOrDeleteProps) {
  const { strings } = useSpeech()
  const [trouble, setTrouble] = useState<string | null>(null)
  const final = isFinal(document.state)
  const words = strings.job
  const name = `face-vitals-${document.id}`
  const { waveforms, fhir } = extras
  const json = (): Blob => new Blob([JSON.stringify(document, null, 2)], { type: 'application/json' })
  const remove = (): void => {
    setTrouble(null)
    erase(document.id).then(onErased, () => setTrouble(words.delete.failed))
  }
  return (
    <section className="card keep">
      <h2>{words.downloads.heading}</h2>
      {final && ours && <p>{words.clipErased}</p>}
      {document.state === 'succeeded' && (
        <div className="actions">
          <button type="button" className="quiet" onClick={() => save(`${name}.json`, json())}>
            {words.downloads.json}
          </button>
          {fhir && (
            <button type="button" className="quiet" onClick={() => save(`${name}.fhir.json`, fhir)}>
              {words.downloads.fhir}
            </button>
          )}
          {waveforms && (
            <button type="button" className="quiet" onClick={() => save(`${name}.csv`, wavesAsCsv(waveforms))}>
              {words.downloads.csv}
            </button>
          )}
        </div>
      )}
      <div className="actions">
        <button type="button" className="delete" onClick={remove}>
          {final ? words.delete.now : words.delete.cancel}
        </button>
        <span className="hint">{words.delete.explain}</span>
      </div>
      {trouble && <p role="alert">{trouble}</p>}
    </section>
  )
}

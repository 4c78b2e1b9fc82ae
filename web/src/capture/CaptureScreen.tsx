import { useId } from 'react'
import { RECORDING_MS } from '../guidance/guidance'
import { FileButton } from '../start/FileButton'
import { Heading } from '../start/Heading'
import { useStrings } from '../strings/context'
import type { Strings } from '../strings/strings'
import { Ring } from './Ring'
import { useCapture, type Capture } from './useCapture'

interface Props {
  readonly onClip: (clip: Blob) => void
  readonly onFailure: () => void
  readonly onLeave: () => void
}

/** How long the page waits for better conditions before it offers to record anyway. */
const OFFER_AFTER_MS = 8000

/** Camera, ring, one sentence at a time. */
export function CaptureScreen({ onClip, onFailure, onLeave }: Props) {
  const capture = useCapture(onClip, onFailure)
  const { guidance, trouble } = capture
  const strings = useStrings()
  const chooser = useId()
  const words = strings.capture

  if (trouble) {
    return (
      <section className="narrow" data-screen="camera-trouble" data-trouble={trouble}>
        <Heading>{words.trouble.heading}</Heading>
        <p className="lead">{words.trouble[trouble]}</p>
        <div className="actions">
          <button type="button" className="primary" onClick={capture.retry}>
            {words.trouble.retry}
          </button>
          <FileButton label={strings.consent.upload} onFile={onClip} />
          <button type="button" className="quiet" onClick={onLeave}>
            {words.cancel}
          </button>
        </div>
      </section>
    )
  }

  const phase = guidance?.phase ?? 'searching'
  const left = Math.ceil((RECORDING_MS - capture.countedMs) / 1000)
  const offer = phase === 'searching' && guidance !== null && capture.attemptMs > OFFER_AFTER_MS
  return (
    <section className="capture" data-screen="capture" data-phase={phase} data-problem={guidance?.problem ?? ''}>
      <Heading>{words.heading}</Heading>
      <div className={capture.portrait ? 'stage portrait' : 'stage'}>
        <video ref={capture.video} muted playsInline aria-label={words.video} />
        <Ring phase={phase} progress={capture.countedMs / RECORDING_MS} portrait={capture.portrait} />
        {phase === 'recording' && (
          <p className="countdown" role="timer" aria-label={words.secondsLeft(left)}>
            {left}
          </p>
        )}
      </div>
      <div className="guidance" data-phase={phase}>
        <p className="phase">{words.phases[phase]}</p>
        <p className="sentence" role="status">
          {sentence(capture, words)}
        </p>
        {guidance !== null && guidance.restarts > 0 && phase === 'searching' && (
          <p className="hint">{words.restarted}</p>
        )}
        {capture.interrupted && <p className="hint">{words.interrupted}</p>}
        {!capture.facesAreChecked && <p className="hint">{words.unchecked}</p>}
      </div>
      <div className="actions">
        {offer && (
          <button type="button" className="primary" onClick={capture.insist}>
            {words.insist}
          </button>
        )}
        {phase !== 'searching' && phase !== 'done' && (
          <button type="button" className="quiet" onClick={capture.restart}>
            {words.restart}
          </button>
        )}
        <button type="button" className="quiet" onClick={onLeave}>
          {words.cancel}
        </button>
      </div>
      {offer && <p className="hint">{words.insistHint}</p>}
      {capture.cameras.length > 1 && (
        <p className="chooser">
          <label htmlFor={chooser}>{words.camera}</label>
          <select id={chooser} value={capture.camera ?? ''} onChange={(event) => capture.choose(event.target.value)}>
            {capture.cameras.map(({ id, name }) => (
              <option key={id} value={id}>
                {/^\d+$/.test(name) ? words.cameraNumbered(name) : name}
              </option>
            ))}
          </select>
        </p>
      )}
    </section>
  )
}

function sentence({ guidance }: Capture, words: Strings['capture']): string {
  if (!guidance) return words.starting
  const { phase, problem } = guidance
  if (problem) return words.problems[problem]
  return phase === 'searching' || phase === 'recovering' ? words.sentences.settling : words.sentences[phase]
}

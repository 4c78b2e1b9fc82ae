import { useStrings } from '../strings/context'
import { FileButton } from './FileButton'
import { Heading } from './Heading'

interface Props {
  readonly first: boolean
  readonly onCamera: () => void
  readonly onFile: (file: File) => void
}

/** Explains how the video is used, before anything is recorded. */
export function StartScreen({ first, onCamera, onFile }: Props) {
  const { consent } = useStrings()
  return (
    <section className="narrow" data-screen="start">
      <Heading focus={!first}>{consent.heading}</Heading>
      <p className="lead">{consent.lead}</p>
      <div className="card promise">
        <h2>{consent.promise}</h2>
        <dl>
          {[consent.sent, consent.kept, consent.erased].map(([title, text]) => (
            <div key={title}>
              <dt>{title}</dt>
              <dd>{text}</dd>
            </div>
          ))}
        </dl>
      </div>
      <div className="actions">
        <button type="button" className="primary" onClick={onCamera}>
          {consent.agree}
        </button>
        <FileButton label={consent.upload} onFile={onFile} />
      </div>
      <p className="hint">{consent.uploadHint}</p>
    </section>
  )
}

import { useRef, useState, type ChangeEvent } from 'react'
import { useStrings } from '../strings/context'
import { ACCEPT, notVideo, type NotVideo } from './clipFile'

interface Props {
  readonly label: string
  readonly className?: string
  readonly onFile: (file: File) => void
}

/** A button that opens the file dialogue. A file that holds no video is refused here, before the upload. */
export function FileButton({ label, className = 'quiet', onFile }: Props) {
  const input = useRef<HTMLInputElement>(null)
  const [refused, setRefused] = useState<NotVideo | null>(null)
  const { files } = useStrings()
  const take = async ({ target }: ChangeEvent<HTMLInputElement>): Promise<void> => {
    const file = target.files?.[0]
    if (!file) return
    setRefused(null)
    const kind = await notVideo(file)
    // Choosing the same file again must count as a change.
    target.value = ''
    if (kind) setRefused(kind)
    else onFile(file)
  }
  return (
    <>
      <button type="button" className={className} onClick={() => input.current?.click()}>
        {label}
      </button>
      <input ref={input} type="file" accept={ACCEPT} hidden onChange={(event) => void take(event)} />
      {refused && (
        <p className="refused" role="alert" data-refused={refused}>
          {files[refused]}
        </p>
      )}
    </>
  )
}

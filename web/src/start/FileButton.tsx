import { useRef, type ChangeEvent } from 'react'

interface Props {
  readonly label: string
  readonly className?: string
  readonly onFile: (file: File) => void
}

/** A button that opens the file dialogue. */
export function FileButton({ label, className = 'quiet', onFile }: Props) {
  const input = useRef<HTMLInputElement>(null)
  const take = (event: ChangeEvent<HTMLInputElement>): void => {
    const file = event.target.files?.[0]
    if (file) onFile(file)
  }
  return (
    <>
      <button type="button" className={className} onClick={() => input.current?.click()}>
        {label}
      </button>
      <input ref={input} type="file" accept="video/mp4,video/webm" hidden onChange={take} />
    </>
  )
}

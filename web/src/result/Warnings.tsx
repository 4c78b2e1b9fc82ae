import type { ClipWarning } from '../api/document'
import { useStrings } from '../strings/context'

/** What was unusual about a video that was analysed nevertheless. */
export function Warnings({ warnings }: { readonly warnings: readonly ClipWarning[] }) {
  const strings = useStrings()
  if (!warnings.length) return null
  return (
    <section className="notes">
      <h2>{strings.job.warnings}</h2>
      <ul>
        {warnings.map(({ code, detail }) => (
          <li key={code} data-warning={code}>
            {strings.warnings[code] ?? detail}
          </li>
        ))}
      </ul>
    </section>
  )
}

import { CHECKS } from '../api/contract'
import type { JobDocument } from '../api/document'
import { useStrings } from '../strings/context'
import { because, plain } from '../strings/words'

const SIGNS = { pass: '✓', warn: '!', fail: '✕', unknown: '?' } as const

/** The checks on the recording, and what to do about those that did not pass. */
export function Checks({ checks, final }: { readonly checks: JobDocument['checks']; readonly final: boolean }) {
  const strings = useStrings()
  return (
    <ul className="checks">
      {CHECKS.map((name) => {
        const check = checks[name]
        const status = check?.status ?? 'unknown'
        return (
          <li key={name} data-check={name} data-status={status}>
            <span className="sign" aria-hidden="true">
              {SIGNS[status] ?? SIGNS.unknown}
            </span>
            <span>
              {strings.checks[name]}:{' '}
              <strong>{check || final ? (strings.verdicts[status] ?? plain(status)) : strings.job.pending}</strong>
              {check?.reason && <small>{because(strings, check.reason)[1]}</small>}
            </span>
          </li>
        )
      })}
    </ul>
  )
}

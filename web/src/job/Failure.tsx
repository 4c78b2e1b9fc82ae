import { useId, type FormEvent } from 'react'
import type { ApiError } from '../api/client'
import { rememberKey } from '../api/key'
import { Heading } from '../start/Heading'
import { useStrings } from '../strings/context'
import { explain } from './failures'

interface Props {
  readonly failure: ApiError
  readonly again: () => void
  readonly onLeave: () => void
}

/** Why the gateway did not accept the clip, and what to do. */
export function Failure({ failure, again, onLeave }: Props) {
  const strings = useStrings()
  const field = useId()
  const wantsKey = failure.status === 401 || failure.status === 403
  const useKey = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    rememberKey(String(new FormData(event.currentTarget).get('key') ?? ''))
    again()
  }
  if (failure.status === 404) {
    return (
      <section className="narrow" data-screen="gone">
        <Heading>{strings.job.gone}</Heading>
        <p className="lead">{strings.job.goneLead}</p>
        <button type="button" className="primary" onClick={onLeave}>
          {strings.failures.back}
        </button>
      </section>
    )
  }
  const pointless = failure.status === 413 || failure.status === 415
  return (
    <section className="narrow" data-screen="failure" data-http={failure.status}>
      <Heading>{wantsKey ? strings.failures.keyHeading : strings.failures.heading}</Heading>
      <p className="lead">{explain(failure, strings)}</p>
      {wantsKey && (
        <form onSubmit={useKey}>
          <label htmlFor={field}>{strings.failures.keyLabel}</label>
          <input id={field} name="key" type="password" autoComplete="off" required />
          <button type="submit" className="primary">
            {strings.failures.keyUse}
          </button>
        </form>
      )}
      <div className="actions">
        {!pointless && !wantsKey && (
          <button type="button" className="primary" onClick={again}>
            {strings.failures.resend}
          </button>
        )}
        <button type="button" className={pointless ? 'primary' : 'quiet'} onClick={onLeave}>
          {strings.failures.back}
        </button>
      </div>
    </section>
  )
}

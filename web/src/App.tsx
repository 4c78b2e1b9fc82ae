import { useCallback, useEffect, useMemo, useState } from 'react'
import { newKey } from './api/client'
import { CaptureScreen } from './capture/CaptureScreen'
import { Boundary } from './job/Boundary'
import { JobScreen } from './job/JobScreen'
import type { Source } from './job/useJob'
import { applyTheme, remember, remembered, THEMES, type Theme } from './settings'
import { Heading } from './start/Heading'
import { StartScreen } from './start/StartScreen'
import { LANGUAGES, preferredLanguage, speak, SpeechContext, type Language } from './strings/context'

type Screen =
  | { readonly name: 'start' }
  | { readonly name: 'capture' }
  | { readonly name: 'unrecorded' }
  | { readonly name: 'job'; readonly source: Source }
  | { readonly name: 'erased' }

const JOB_ADDRESS = /^#job=([\w-]+)$/

/** The job that the address names, so that a reload or a bookmark comes back to it. */
function screenFromAddress(): Screen {
  const id = JOB_ADDRESS.exec(location.hash)?.[1]
  return id ? { name: 'job', source: { id } } : { name: 'start' }
}

const clearAddress = (): void => history.replaceState(null, '', location.pathname)

export function App() {
  const [language, setLanguage] = useState<Language>(() =>
    preferredLanguage([remembered('language') ?? '', ...navigator.languages]),
  )
  const [theme, setTheme] = useState<Theme>(() => THEMES.find((name) => name === remembered('theme')) ?? 'system')
  const [screen, setScreen] = useState<Screen>(screenFromAddress)
  const [moved, setMoved] = useState(false)
  const speech = useMemo(() => speak(language), [language])
  const { strings } = speech

  useEffect(() => {
    document.documentElement.lang = language
    document.title = LANGUAGES[language].title
  }, [language])
  useEffect(() => applyTheme(theme), [theme])
  useEffect(() => {
    const go = (): void => {
      const named = screenFromAddress()
      if (named.name === 'job') setScreen(named)
    }
    addEventListener('hashchange', go)
    return () => removeEventListener('hashchange', go)
  }, [])

  const show = useCallback((next: Screen): void => {
    setMoved(true)
    setScreen(next)
  }, [])
  const send = useCallback((clip: Blob) => show({ name: 'job', source: { clip, key: newKey() } }), [show])
  const leave = useCallback(() => {
    clearAddress()
    show({ name: 'start' })
  }, [show])
  const unrecorded = useCallback(() => show({ name: 'unrecorded' }), [show])
  const onId = useCallback((id: string) => history.replaceState(null, '', `#job=${id}`), [])
  const onErased = useCallback(() => {
    clearAddress()
    show({ name: 'erased' })
  }, [show])

  return (
    <SpeechContext value={speech}>
      <a
        className="skip"
        href="#main"
        onClick={(event) => {
          // The address may name a job, and stays.
          event.preventDefault()
          document.getElementById('main')?.focus()
        }}
      >
        {strings.skip}
      </a>
      <header className="top">
        <a className="brand" href="/">
          <Mark />
          {strings.title}
        </a>
        <div className="settings">
          <select
            aria-label={strings.settings.language}
            value={language}
            onChange={({ target }) => {
              setLanguage(target.value as Language)
              remember('language', target.value)
            }}
          >
            {Object.entries(LANGUAGES).map(([tag, words]) => (
              <option key={tag} value={tag} lang={tag}>
                {words.language}
              </option>
            ))}
          </select>
          <select
            aria-label={strings.settings.theme}
            value={theme}
            onChange={({ target }) => {
              setTheme(target.value as Theme)
              remember('theme', target.value)
            }}
          >
            {THEMES.map((name) => (
              <option key={name} value={name}>
                {strings.settings.themes[name]}
              </option>
            ))}
          </select>
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <Boundary
          key={screen.name}
          fallback={(again) => (
            <section className="narrow" data-screen="unshown">
              <Heading>{strings.failures.unshownHeading}</Heading>
              <p className="lead">{strings.failures.unshown}</p>
              <div className="actions">
                <button type="button" className="primary" onClick={again}>
                  {strings.failures.retry}
                </button>
                <button type="button" className="quiet" onClick={leave}>
                  {strings.failures.back}
                </button>
              </div>
            </section>
          )}
        >
          {screen.name === 'start' && (
            <StartScreen first={!moved} onCamera={() => show({ name: 'capture' })} onFile={send} />
          )}
          {screen.name === 'capture' && <CaptureScreen onClip={send} onFailure={unrecorded} onLeave={leave} />}
          {screen.name === 'job' && (
            <JobScreen source={screen.source} onId={onId} onErased={onErased} onLeave={leave} />
          )}
          {screen.name === 'unrecorded' && (
            <section className="narrow" data-screen="unrecorded">
              <Heading>{strings.capture.trouble.heading}</Heading>
              <p className="lead">{strings.failures.recording}</p>
              <button type="button" className="primary" onClick={leave}>
                {strings.failures.back}
              </button>
            </section>
          )}
          {screen.name === 'erased' && (
            <section className="narrow" data-screen="erased">
              <Heading>{strings.job.delete.done}</Heading>
              <p className="lead">{strings.job.delete.doneLead}</p>
              <button type="button" className="primary" onClick={leave}>
                {strings.job.again}
              </button>
            </section>
          )}
        </Boundary>
      </main>
      <footer>
        <p>{strings.notice}</p>
        <p>
          <a href="/licenses.txt">{strings.licences}</a>
        </p>
      </footer>
    </SpeechContext>
  )
}

function Mark() {
  return (
    <svg width="26" height="26" viewBox="0 0 26 26" aria-hidden="true">
      <ellipse cx="13" cy="13" rx="9" ry="11.5" fill="none" stroke="currentColor" strokeWidth="2" />
      <path d="M4 14h5l2-5 3 8 2-3h6" fill="none" stroke="currentColor" strokeWidth="2" strokeLinejoin="round" />
    </svg>
  )
}

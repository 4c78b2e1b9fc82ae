import { lazy, Suspense } from 'react'
import type { JobDocument, Waveforms } from '../api/document'
import { useSpeech } from '../strings/context'
import { peak } from './waves'

const Plot = lazy(() => import('./Plot'))

interface Props {
  readonly waveforms: Waveforms
  readonly vitals: JobDocument['vitals']
}

/** The pulse and breathing waves and their spectra, with the found rate marked. */
export function Waves({ waveforms, vitals }: Props) {
  const { strings, number } = useSpeech()
  const rows = [
    { name: 'heart_rate', wave: strings.plots.pulse, spectrum: strings.plots.pulseSpectrum },
    { name: 'respiration_rate', wave: strings.plots.breathing, spectrum: strings.plots.breathingSpectrum },
  ] as const
  return (
    <Suspense fallback={<p>{strings.job.pending}</p>}>
      <div className="waves">
        {rows.map(({ name, wave: waveName, spectrum: spectrumName }) => {
          const wave = waveforms.waves[name]
          const spectrum = waveforms.spectra[name]
          const found = vitals[name]?.value
          return (
            <div key={name} className="wave-row" hidden={!wave && !spectrum}>
              {wave && (
                <figure data-wave={name}>
                  <figcaption>{waveName}</figcaption>
                  <Plot
                    x={wave.times_s}
                    y={wave.values}
                    unit="s"
                    label={strings.plots.describeWave(
                      waveName,
                      number((wave.times_s.at(-1) ?? 0) - (wave.times_s[0] ?? 0)),
                    )}
                  />
                </figure>
              )}
              {spectrum && (
                <figure data-spectrum={name}>
                  <figcaption>{spectrumName}</figcaption>
                  <Plot
                    x={spectrum.rates_per_min}
                    y={spectrum.power}
                    unit="/min"
                    mark={typeof found === 'number' ? found : null}
                    label={strings.plots.describeSpectrum(
                      spectrumName,
                      number(peak(spectrum.rates_per_min, spectrum.power) ?? 0),
                    )}
                  />
                </figure>
              )}
            </div>
          )
        })}
      </div>
    </Suspense>
  )
}

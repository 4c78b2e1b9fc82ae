import { cleanup, render, screen, within } from '@testing-library/react'
import { afterEach, describe, expect, it } from 'vitest'
import { REASONS } from '../api/contract'
import type { JobDocument, Reason, Vital, VitalName } from '../api/document'
import type { BodyMassIndex, Gender, HeartRate, OxygenSaturation } from '../api/openapi'
import succeeded from '../fixtures/succeeded.json'
import { speak, SpeechContext, type Language } from '../strings/context'
import { VitalCard } from './VitalCard'

const { vitals } = succeeded as unknown as JobDocument
const BARE = {
  value: null,
  unit: '',
  status: 'abstained',
  reason: 'motion',
  detail: null,
  interval: null,
  interval_level: null,
  probability: null,
  score: null,
  diagnostics: null,
  baseline: null,
  method: null,
} as const

afterEach(cleanup)

function show(name: VitalName, vital: Vital | undefined, language: Language = 'en'): HTMLElement {
  render(
    <SpeechContext value={speak(language)}>
      <VitalCard name={name} vital={vital} />
    </SpeechContext>,
  )
  return screen.getByRole('article')
}

describe('the card of a vital', () => {
  it('shows value, unit, interval and what is typical, in words and as a bar', () => {
    const card = show('heart_rate', vitals.heart_rate)
    expect(card).toHaveProperty('dataset.status', 'ok')
    expect(card.querySelector('.value')?.textContent).toBe('72')
    expect(within(card).getByText('per minute')).toBeTruthy()
    expect(within(card).getByText('71 to 74, with 90 % confidence')).toBeTruthy()
    expect(within(card).getByRole('img').getAttribute('aria-label')).toContain('60 to 100')
  })

  it('never claims a narrower interval than it was given', () => {
    const card = show('heart_rate', { ...(vitals.heart_rate as HeartRate), interval: [71.9, 72.1] })
    expect(within(card).getByText(/^71 to 73/)).toBeTruthy()
  })

  it('gives the reason for a missing value and what to do', () => {
    const card = show('stress', vitals.stress)
    expect(within(card).getByText('Could not tell: there was too much motion.')).toBeTruthy()
    expect(within(card).getByText(/Rest your back/)).toBeTruthy()
    expect(within(card).queryByRole('alert')).toBeNull()
  })

  it('marks an experimental value as such', () => {
    const card = show('oxygen_saturation', vitals.oxygen_saturation)
    expect(within(card).getByText('Experimental')).toBeTruthy()
    expect(within(card).getByText(/Do not rely on it/)).toBeTruthy()
  })

  it('gives the reason why an experimental value is of limited use', () => {
    const value = { ...(vitals.oxygen_saturation as OxygenSaturation), reason: 'not_calibrated' } as const
    const card = show('oxygen_saturation', value)
    expect(card.querySelector('.value')?.textContent).toBe('97')
    expect(within(card).getByText(/^The camera was not calibrated for this\. The operator/)).toBeTruthy()
  })

  it('gives each measure of heart-rate variability a status of its own', () => {
    const card = show('heart_rate_variability', vitals.heart_rate_variability)
    const statuses = [...card.querySelectorAll('[data-measure]')].map((row) => row.getAttribute('data-status'))
    expect(statuses).toEqual(['experimental', 'experimental', 'abstained', 'abstained', 'ok'])
  })

  it('never shows a probability of 100 %', () => {
    const card = show('gender', { ...(vitals.gender as Gender), probability: 0.9999 })
    expect(within(card).getByText('99 % sure')).toBeTruthy()
  })

  it('shows the detail that the server gives', () => {
    const unavailable: OxygenSaturation = {
      ...BARE,
      status: 'unavailable',
      detail: 'this camera needs a calibration',
    }
    const card = show('oxygen_saturation', unavailable)
    expect(within(card).getByText('This camera needs a calibration').lang).toBe('en')
  })

  it('shows no number while the vital is not known', () => {
    const card = show('heart_rate', undefined)
    expect(card.getAttribute('aria-busy')).toBe('true')
    expect(card.textContent).not.toMatch(/\d/)
  })

  it.each(['en', 'de'] as const)('has words for every reason (%s)', (language) => {
    for (const reason of REASONS as readonly Reason[]) {
      const card = show('heart_rate', { ...BARE, reason }, language)
      expect(card.querySelector('.why')?.textContent?.length).toBeGreaterThan(20)
      expect(card.querySelector('.todo')?.textContent?.length).toBeGreaterThan(8)
      expect(card.querySelector('.value')?.textContent).not.toMatch(/\d/)
      cleanup()
    }
  })

  it('writes numbers as the language does', () => {
    const bmi: BodyMassIndex = { ...BARE, status: 'experimental', reason: null, value: 23.46, unit: 'kg/m2' }
    expect(show('bmi', bmi, 'de').querySelector('.value')?.textContent).toBe('23,5')
  })
})

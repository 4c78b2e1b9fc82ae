import { createContext, use } from 'react'
import { de } from './de'
import { en } from './en'
import type { Strings } from './strings'

export const LANGUAGES = { en, de } as const
export type Language = keyof typeof LANGUAGES

/** The first of the browser's languages that the page has. */
export function preferredLanguage(wanted: readonly string[]): Language {
  for (const tag of wanted) {
    const language = tag.toLowerCase().split('-')[0] ?? ''
    if (language in LANGUAGES) return language as Language
  }
  return 'en'
}

export interface Speech {
  readonly language: Language
  readonly strings: Strings
  /** A number as the language writes it. */
  readonly number: (value: number, digits?: number) => string
}

export function speak(language: Language): Speech {
  const formats = new Map<number, Intl.NumberFormat>()
  return {
    language,
    strings: LANGUAGES[language],
    number(value, digits = 0) {
      const format =
        formats.get(digits) ??
        new Intl.NumberFormat(language, { minimumFractionDigits: digits, maximumFractionDigits: digits })
      formats.set(digits, format)
      return format.format(value)
    },
  }
}

export const SpeechContext = createContext<Speech>(speak('en'))

export const useSpeech = (): Speech => use(SpeechContext)
export const useStrings = (): Strings => use(SpeechContext).strings

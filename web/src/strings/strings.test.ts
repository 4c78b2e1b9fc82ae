import { describe, expect, it } from 'vitest'
import { preferredLanguage } from './context'
import { de } from './de'
import { en } from './en'

/** Words that are the same in both languages. */
const SHARED = new Set(['title', 'chooser', 'vitals.stress', 'measures.sdnn_ms', 'measures.rmssd_ms', 'measures.pnn50'])

function texts(value: unknown, path = ''): Map<string, string> {
  if (typeof value === 'string') return new Map([[path, value]])
  if (typeof value !== 'object' || value === null) return new Map()
  return new Map(Object.entries(value).flatMap(([key, inner]) => [...texts(inner, path ? `${path}.${key}` : key)]))
}

describe('the languages', () => {
  it('are translated sentence by sentence', () => {
    const german = texts(de)
    const same = [...texts(en)].filter(([path, text]) => text.includes(' ') && german.get(path) === text)
    expect(same.filter(([path]) => !SHARED.has(path))).toEqual([])
  })

  it('leave no text empty', () => {
    for (const words of [en, de]) for (const [path, text] of texts(words)) expect(text, path).not.toBe('')
  })

  it('are chosen by what the browser prefers', () => {
    expect(preferredLanguage(['de-AT', 'en'])).toBe('de')
    expect(preferredLanguage(['fr', 'en-GB', 'de'])).toBe('en')
    expect(preferredLanguage(['fr'])).toBe('en')
    expect(preferredLanguage(['', 'de'])).toBe('de')
  })
})

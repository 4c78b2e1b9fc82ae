import { describe, expect, test } from 'vitest'
import { ApiError } from '../api/client'
import { de } from '../strings/de'
import { en } from '../strings/en'
import { explain } from './failures'

describe('a refused upload', () => {
  const paused = new ApiError(503, 'urn:facevitals:problem:queue-paused', 'The operator has paused rppg.', 300)

  test('states that the service is paused, in the language of the page', () => {
    expect(explain(paused, en)).toBe(en.failures.paused)
    expect(explain(paused, de)).toBe(de.failures.paused)
  })

  test('states that the service is not ready for any other reason', () => {
    expect(explain(new ApiError(503, 'urn:facevitals:problem:broker-away'), en)).toBe(en.failures.away)
    expect(explain(new ApiError(502), en)).toBe(en.failures.away)
  })
})

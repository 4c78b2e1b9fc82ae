import { describe, expect, it } from 'vitest'
import { toPercent } from './scales'
import { peak, wavesAsCsv } from './waves'

describe('waves', () => {
  it('become CSV with a sample a line', async () => {
    const wave = { times_s: [0, 0.5], values: [1, -2], unit: null }
    expect(await wavesAsCsv({ waves: { heart_rate: wave }, spectra: {} }).text()).toBe(
      'wave,time_s,value\r\nheart_rate,0,1\r\nheart_rate,0.5,-2\r\n',
    )
  })

  it('have their peak where the power is', () => {
    expect(peak([50, 60, 70], [0.1, 0.9, 0.3])).toBe(60)
    expect(peak([], [])).toBeNull()
  })
})

describe('a scale', () => {
  it('widens for a value beyond its ends', () => {
    const scale = { from: 0, to: 100, typical: null, digits: 0 }
    expect(toPercent(scale, [50])(50)).toBe(50)
    expect(toPercent(scale, [200])(200)).toBe(100)
    expect(toPercent(scale, [-100])(-100)).toBe(0)
  })
})

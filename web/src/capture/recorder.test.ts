import { describe, expect, it } from 'vitest'
import { recordingFormat } from './recorder'

describe('the recording format', () => {
  it('is VP9 where there is a choice', () => {
    expect(recordingFormat(() => true)).toBe('video/webm;codecs=vp9')
  })

  it('is MP4 where the browser has no WebM', () => {
    expect(recordingFormat((type) => type.startsWith('video/mp4'))).toMatch(/^video\/mp4/)
  })

  it('is nothing where nothing would be accepted', () => {
    expect(recordingFormat(() => false)).toBeNull()
  })
})

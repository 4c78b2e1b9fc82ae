import { describe, expect, it } from 'vitest'
import { ACCEPT, notVideo, type NotVideo } from './clipFile'

const file = (head: string, type = ''): Blob =>
  new Blob([Uint8Array.from(head, (letter) => letter.charCodeAt(0)), new Uint8Array(40)], { type })
const box = (brand: string): string => `\0\0\0\x18ftyp${brand}`

describe('the file dialogue', () => {
  it.each(['.mp4', '.mov', '.m4v', '.webm', '.mkv', '.3gp', 'video/quicktime', 'video/x-matroska'])(
    'offers %s',
    (type) => expect(ACCEPT.split(',')).toContain(type),
  )
})

describe('a chosen file', () => {
  it.each<[NotVideo, string, Blob]>([
    ['picture', 'HEIC', file(box('heic'), 'image/heic')],
    ['picture', 'HEIC without a type', file(box('mif1'))],
    ['picture', 'AVIF', file(box('avif'))],
    ['picture', 'JPEG under the name of a video', file('\xff\xd8\xff\xe1', 'video/mp4')],
    ['picture', 'PNG', file('\x89PNG\r\n')],
    ['picture', 'WebP', file('RIFF\0\0\0\0WEBP')],
    ['picture', 'TIFF by its type', file('II*\0', 'image/tiff')],
    ['sound', 'M4A', file(box('M4A '), 'audio/mp4')],
    ['sound', 'WAV', file('RIFF\0\0\0\0WAVE')],
    ['sound', 'MP3 by its type', file('\xff\xfb\x90', 'audio/mpeg')],
    ['document', 'PDF', file('%PDF-1.7')],
    ['document', 'text by its type', file('Dear all', 'text/plain')],
    ['empty', 'nothing', new Blob([])],
  ])('is refused as %s: %s', async (kind, _, chosen) => {
    expect(await notVideo(chosen)).toBe(kind)
  })

  it.each([
    ['MP4', file(box('isom'), 'video/mp4')],
    ['MOV without a type', file(box('qt  '))],
    ['MOV that begins with its data', file('\0\0\0\x08wide\0\0\0\0mdat')],
    ['3GP with the type of sound', file(box('3gp4'), 'audio/3gpp')],
    ['WebM with the type of sound', file('\x1a\x45\xdf\xa3', 'audio/webm')],
    ['AVI, which some servers accept', file('RIFF\0\0\0\0AVI ', 'video/x-msvideo')],
    ['bytes that the page does not know', file('????')],
  ])('is left to the server: %s', async (_, chosen) => {
    expect(await notVideo(chosen)).toBeNull()
  })

  it('is left to the server where the browser cannot read it', async () => {
    const unreadable = file(box('isom'))
    unreadable.slice = () => {
      throw new DOMException('gone', 'NotReadableError')
    }
    expect(await notVideo(unreadable)).toBeNull()
  })
})

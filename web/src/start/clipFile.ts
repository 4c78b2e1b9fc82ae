/** Which files the page offers to upload, and which it refuses before the upload. */

/** Media types and extensions: systems that do not know an extension give the file no type. */
export const ACCEPT = [
  'video/mp4',
  'video/quicktime',
  'video/webm',
  'video/x-matroska',
  'video/x-m4v',
  'video/3gpp',
  '.mp4',
  '.mov',
  '.m4v',
  '.webm',
  '.mkv',
  '.3gp',
].join(',')

/** A file that holds no video. */
export type NotVideo = 'empty' | 'picture' | 'sound' | 'document'

/** Major brands of pictures and sound in the MP4 family. */
const PICTURE_BRANDS: ReadonlySet<string> = new Set(['heic', 'heix', 'heim', 'heis', 'mif1', 'avif'])
const SOUND_BRANDS: ReadonlySet<string> = new Set(['M4A ', 'M4B '])

const SIGNATURES: readonly (readonly [pattern: RegExp, kind: NotVideo])[] = [
  [/^\xff\xd8\xff/, 'picture'],
  [/^\x89PNG/, 'picture'],
  [/^GIF8/, 'picture'],
  [/^RIFF[^]{4}WEBP/, 'picture'],
  [/^RIFF[^]{4}WAVE/, 'sound'],
  [/^ID3/, 'sound'],
  [/^fLaC/, 'sound'],
  [/^%PDF-/, 'document'],
  [/^PK\x03\x04/, 'document'],
]

const TYPES: Readonly<Record<string, NotVideo>> = { image: 'picture', audio: 'sound', text: 'document' }

/** What the file is if it holds no video; null if it may hold one, which the server decides. */
export async function notVideo(file: Blob): Promise<NotVideo | null> {
  if (file.size === 0) return 'empty'
  let bytes: Uint8Array
  try {
    bytes = new Uint8Array(await file.slice(0, 16).arrayBuffer())
  } catch {
    // A file in the cloud may not be readable yet; the upload reports that.
    return null
  }
  const head = String.fromCharCode(...bytes)
  if (head.slice(4, 8) === 'ftyp') {
    const brand = head.slice(8, 12)
    return PICTURE_BRANDS.has(brand) ? 'picture' : SOUND_BRANDS.has(brand) ? 'sound' : null
  }
  // Systems give some videos the type of sound, such as audio/3gpp or audio/webm: a Matroska header decides first.
  if (head.startsWith('\x1a\x45\xdf\xa3')) return null
  const [, signed] = SIGNATURES.find(([pattern]) => pattern.test(head)) ?? []
  return signed ?? TYPES[file.type.split('/')[0] ?? ''] ?? null
}

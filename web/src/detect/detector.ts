/** The face detector in a worker of its own, fetched only when a camera is on. */
import type { Face, Picture } from './blazeface'

export type Answer = { readonly ready: true } | { readonly faces: Face[] } | { readonly error: string }

export interface FaceDetector {
  /** Faces in a picture; its pixels are handed over and can't be used afterwards. */
  find(picture: Picture): Promise<Face[]>
  close(): void
}

export async function openDetector(): Promise<FaceDetector> {
  const worker = new Worker(new URL('./worker.ts', import.meta.url), { type: 'module' })
  const answer = (): Promise<Answer> =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Answer>) => resolve(data)
      worker.onerror = () => reject(new Error('the face detector could not be loaded'))
    })
  const first = await answer()
  if ('error' in first) {
    worker.terminate()
    throw new Error(first.error)
  }
  return {
    async find(picture) {
      const found = answer()
      worker.postMessage(picture, [picture.data.buffer])
      const reply = await found
      if ('faces' in reply) return reply.faces
      throw new Error('error' in reply ? reply.error : 'the face detector gave no answer')
    },
    close: () => worker.terminate(),
  }
}

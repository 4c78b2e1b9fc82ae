import model from '@mediapipe/face_detection/face_detection_short_range.tflite?url'
import { findFaces, type Picture } from './blazeface'
import type { Answer } from './detector'
import { Network } from './network'

const answer = (message: Answer): void => postMessage(message)

async function start(): Promise<void> {
  const response = await fetch(model)
  if (!response.ok) throw new Error(`the face model answered ${response.status}`)
  const network = Network.read(await response.arrayBuffer())
  onmessage = ({ data }: MessageEvent<Picture>) => {
    try {
      answer({ faces: findFaces(network, data) })
    } catch (error) {
      answer({ error: String(error) })
    }
  }
  answer({ ready: true })
}

start().catch((error: unknown) => answer({ error: String(error) }))

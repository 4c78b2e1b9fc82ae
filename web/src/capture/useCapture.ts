import { useCallback, useEffect, useRef, useState, type RefObject } from 'react'
import { openDetector } from '../detect/detector'
import { countedMs, type Guidance } from '../guidance/guidance'
import { CameraError, listCameras, openCamera, type Camera, type CameraTrouble } from './camera'
import { ClipRecorder, recordingFormat } from './recorder'
import { CaptureSession } from './session'
import { within } from './within'

/** How long an opened camera may take to show its first picture. */
const PICTURE_MS = 10_000

export interface Capture {
  readonly video: RefObject<HTMLVideoElement | null>
  readonly trouble: CameraTrouble | null
  readonly cameras: readonly Camera[]
  readonly camera: string | null
  readonly choose: (id: string) => void
  readonly guidance: Guidance | null
  readonly countedMs: number
  /** How long this attempt has lasted. */
  readonly attemptMs: number
  readonly facesAreChecked: boolean
  /** Whether a recording was dropped because the page was hidden. */
  readonly interrupted: boolean
  readonly portrait: boolean
  readonly insist: () => void
  readonly restart: () => void
  readonly retry: () => void
}

interface Sight {
  readonly guidance: Guidance
  readonly atMs: number
  readonly facesAreChecked: boolean
  readonly interrupted: boolean
}

/** Opens a camera and runs a session before it; everything is released on leaving. */
export function useCapture(onClip: (clip: Blob) => void, onFailure: () => void): Capture {
  const video = useRef<HTMLVideoElement>(null)
  const session = useRef<CaptureSession | null>(null)
  const [wanted, setWanted] = useState<string | null>(null)
  const [camera, setCamera] = useState<string | null>(null)
  const [cameras, setCameras] = useState<readonly Camera[]>([])
  const [trouble, setTrouble] = useState<CameraTrouble | null>(null)
  const [sight, setSight] = useState<Sight | null>(null)
  const [portrait, setPortrait] = useState(false)
  const [attempt, setAttempt] = useState(0)

  useEffect(() => {
    let left = false
    let stream: MediaStream | null = null
    const run = async (): Promise<void> => {
      setTrouble(null)
      const opened = await openCamera(wanted)
      const element = video.current
      if (left || !element) {
        opened.getTracks().forEach((track) => track.stop())
        return
      }
      stream = opened
      const format = recordingFormat()
      const [track] = opened.getVideoTracks()
      if (!format || !track) throw new CameraError('unsupported')
      track.onended = () => {
        if (left) return
        if (session.current) session.current.cameraEnded()
        else setTrouble('lost')
      }
      setCamera(track.getSettings().deviceId ?? null)
      setCameras(await listCameras())
      element.srcObject = opened
      element.onresize = () => setPortrait(element.videoHeight > element.videoWidth)
      await within(PICTURE_MS, element.play())
      setPortrait(element.videoHeight > element.videoWidth)
      if (left) return
      const sitting = new CaptureSession(element, new ClipRecorder(opened, format), {
        onGuidance: (guidance, atMs) => {
          const { facesAreChecked, interrupted } = sitting
          setSight({ guidance, atMs, facesAreChecked, interrupted })
        },
        onClip,
        onFailure,
        onLost: () => setTrouble('lost'),
      })
      session.current = sitting
      sitting.start(openDetector())
    }
    run().catch((error: unknown) => {
      if (!left) setTrouble(error instanceof CameraError ? error.trouble : 'busy')
    })
    return () => {
      left = true
      session.current?.close()
      session.current = null
      stream?.getTracks().forEach((track) => track.stop())
      setSight(null)
    }
  }, [wanted, attempt, onClip, onFailure])

  return {
    video,
    trouble,
    cameras,
    camera,
    choose: setWanted,
    guidance: sight?.guidance ?? null,
    countedMs: sight ? countedMs(sight.guidance, sight.atMs) : 0,
    attemptMs: sight ? sight.atMs - sight.guidance.beganMs : 0,
    facesAreChecked: sight?.facesAreChecked ?? true,
    interrupted: sight?.interrupted ?? false,
    portrait,
    insist: useCallback(() => session.current?.insist(), []),
    restart: useCallback(() => session.current?.restart(), []),
    retry: useCallback(() => setAttempt((count) => count + 1), []),
  }
}

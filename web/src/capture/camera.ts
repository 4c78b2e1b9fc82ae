/** Opening a camera, and why it may not open. */

export type CameraTrouble = 'insecure' | 'unsupported' | 'refused' | 'missing' | 'busy' | 'lost'

export class CameraError extends Error {
  constructor(readonly trouble: CameraTrouble) {
    super(trouble)
    this.name = 'CameraError'
  }
}

export async function openCamera(deviceId: string | null): Promise<MediaStream> {
  if (!globalThis.isSecureContext) throw new CameraError('insecure')
  if (!navigator.mediaDevices?.getUserMedia || typeof MediaRecorder === 'undefined')
    throw new CameraError('unsupported')
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: {
        width: { ideal: 640 },
        height: { ideal: 480 },
        frameRate: { ideal: 30 },
        ...(deviceId ? { deviceId: { exact: deviceId } } : { facingMode: 'user' }),
      },
    })
  } catch (error) {
    throw new CameraError(troubleOf(error instanceof DOMException ? error.name : ''))
  }
}

function troubleOf(name: string): CameraTrouble {
  switch (name) {
    case 'NotAllowedError':
    case 'SecurityError':
      return 'refused'
    case 'NotFoundError':
    case 'OverconstrainedError':
      return 'missing'
    default:
      return 'busy'
  }
}

export interface Camera {
  readonly id: string
  readonly name: string
}

/** The cameras, by name; browsers give their names only after access to one was allowed. */
export async function listCameras(): Promise<Camera[]> {
  const devices = await navigator.mediaDevices.enumerateDevices()
  return devices
    .filter(({ kind, deviceId }) => kind === 'videoinput' && deviceId)
    .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || String(index + 1) }))
}

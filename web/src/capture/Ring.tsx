import type { Phase } from '../guidance/guidance'

interface Props {
  readonly phase: Phase
  /** Fraction of the recording that has been counted. */
  readonly progress: number
  readonly portrait: boolean
}

/** The ring for the face: dims what is outside of it and fills up as the recording is counted. */
export function Ring({ phase, progress, portrait }: Props) {
  const [width, height] = portrait ? [480, 640] : [640, 480]
  const ellipse = {
    cx: width / 2,
    cy: height * 0.48,
    rx: height * (portrait ? 0.24 : 0.27),
    ry: height * (portrait ? 0.31 : 0.36),
  }
  const { cx, cy, rx, ry } = ellipse
  // From the top, clockwise.
  const around = `M${cx} ${cy - ry}A${rx} ${ry} 0 0 1 ${cx} ${cy + ry}A${rx} ${ry} 0 0 1 ${cx} ${cy - ry}`
  return (
    <svg className="ring" data-phase={phase} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      <mask id="ring-hole">
        <rect width="100%" height="100%" fill="white" />
        <ellipse {...ellipse} fill="black" />
      </mask>
      <rect className="ring-shade" width="100%" height="100%" mask="url(#ring-hole)" />
      <ellipse className="ring-track" {...ellipse} />
      <path className="ring-progress" d={around} pathLength={100} strokeDasharray={`${progress * 100} 100`} />
    </svg>
  )
}

import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'

interface Props {
  readonly x: readonly number[]
  readonly y: readonly number[]
  readonly unit: string
  /** What the picture shows, for those who can't see it. */
  readonly label: string
  /** An x to mark. */
  readonly mark?: number | null
}

const HEIGHT = 150

/** A line over x, drawn by uPlot in the colours of the page. */
export default function Plot({ x, y, unit, label, mark = null }: Props) {
  const place = useRef<HTMLDivElement>(null)

  useEffect(() => {
    const element = place.current
    if (!element) return
    const draw = (): uPlot => {
      const style = getComputedStyle(element)
      const colour = (name: string): string => style.getPropertyValue(name).trim()
      const axis = {
        stroke: colour('--muted'),
        font: `12px ${style.fontFamily}`,
        grid: { stroke: colour('--line'), width: 1 },
        ticks: { show: false },
      }
      return new uPlot(
        {
          width: element.clientWidth,
          height: HEIGHT,
          legend: { show: false },
          cursor: { show: false },
          scales: { x: { time: false } },
          axes: [
            {
              ...axis,
              size: 28,
              values: (_, splits) => splits.map((v, i) => (i === splits.length - 1 ? `${v} ${unit}` : `${v}`)),
            },
            { ...axis, show: false },
          ],
          series: [{}, { stroke: colour('--accent'), width: 2, points: { show: false } }],
          hooks: {
            draw: [
              (plot) => {
                if (mark === null) return
                const at = Math.round(plot.valToPos(mark, 'x', true))
                const { ctx, bbox } = plot
                ctx.save()
                ctx.strokeStyle = colour('--text')
                ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio])
                ctx.beginPath()
                ctx.moveTo(at, bbox.top)
                ctx.lineTo(at, bbox.top + bbox.height)
                ctx.stroke()
                ctx.restore()
              },
            ],
          },
        },
        [x as number[], y as number[]],
        element,
      )
    }
    let plot = draw()
    const redraw = (): void => {
      plot.destroy()
      plot = draw()
    }
    const sized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height: HEIGHT }))
    sized.observe(element)
    const painted = new MutationObserver(redraw)
    painted.observe(document.documentElement, { attributeFilter: ['data-theme'] })
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', redraw)
    return () => {
      scheme.removeEventListener('change', redraw)
      painted.disconnect()
      sized.disconnect()
      plot.destroy()
    }
  }, [x, y, unit, mark])

  return <div ref={place} className="plot" role="img" aria-label={label} />
}

import { type PointerEvent, useEffect, useRef, useState } from 'react'
import type { TimeScale } from '../../trace/time-scale.ts'
import type { TraceLine } from '../../trace/trace-lines.ts'
import { Icon } from '../../ui/icon.tsx'
import { Button } from '../../ui/button.tsx'
import { shownTheme, useSettings } from '../../shell/settings.ts'
import { isFailed } from './shown-lines.ts'
import type { Range } from './range.ts'
import { between } from './time-axis.tsx'
import styles from './overview.module.css'

interface OverviewProps {
  readonly lines: readonly TraceLine[]
  readonly order: Uint32Array
  /** Of the whole trace. */
  readonly scale: TimeScale
  readonly range: Range | undefined
  readonly onRange: (range: Range | undefined) => void
}

const minShare = 0.004

/** How much went on at each time of the trace. Dragging chooses the part that the axis below shows. */
export function Overview({ lines, order, scale, range, onRange }: OverviewProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const [drag, setDrag] = useState<{ from: number; to: number }>()
  useSettings()
  const theme = shownTheme()
  useEffect(() => {
    if (canvas.current) draw(canvas.current, lines, order, scale)
  }, [lines, order, scale, theme])
  const placeOf = (event: PointerEvent) => {
    const { left, width } = event.currentTarget.getBoundingClientRect()
    return Math.max(0, Math.min(1, (event.clientX - left) / width))
  }
  const finish = () => {
    if (!drag) return
    setDrag(undefined)
    const [from, to] = [Math.min(drag.from, drag.to), Math.max(drag.from, drag.to)]
    if (to - from > minShare) onRange({ from: scale.at(from) - scale.from, to: scale.at(to) - scale.from })
  }
  const chosen = drag
    ? { from: Math.min(drag.from, drag.to), to: Math.max(drag.from, drag.to) }
    : range && { from: scale.x(scale.from + range.from), to: scale.x(scale.from + range.to) }
  return (
    <div
      className={styles.overview}
      title="Drag to see a part of the time, double-click to see all"
      onPointerDown={event => {
        if (event.button !== 0 || (event.target as Element).closest('button')) return
        event.currentTarget.setPointerCapture(event.pointerId)
        const x = placeOf(event)
        setDrag({ from: x, to: x })
      }}
      onPointerMove={event => drag && setDrag({ from: drag.from, to: placeOf(event) })}
      onPointerUp={finish}
      onPointerCancel={() => setDrag(undefined)}
      onDoubleClick={() => onRange(undefined)}
    >
      <canvas ref={canvas} className={styles.canvas} aria-hidden="true" />
      {chosen && <span className={styles.chosen} style={between(chosen.from, chosen.to)} />}
      {range && !drag && (
        <Button
          look="quiet"
          icon
          className={styles.reset}
          aria-label="Show the whole time"
          title="Show the whole time (Esc)"
          onClick={() => onRange(undefined)}
        >
          <Icon name="close" size={12} />
        </Button>
      )}
    </div>
  )
}

/** One column of pixels for each moment: as high as there were calls that ran, red where one failed. */
function draw(canvas: HTMLCanvasElement, lines: readonly TraceLine[], order: Uint32Array, scale: TimeScale): void {
  const { clientWidth, clientHeight } = canvas
  const density = devicePixelRatio
  canvas.width = clientWidth * density
  canvas.height = clientHeight * density
  const columns = Math.max(1, Math.floor(clientWidth / 2))
  const changes = new Int32Array(columns + 1)
  const failed = new Uint8Array(columns)
  const column = (ms: number) => Math.max(0, Math.min(columns - 1, Math.floor(scale.x(ms) * columns)))
  for (const n of order) {
    const line = lines[n]
    if (!line) continue
    if (isFailed(line) && line.task === undefined) failed[column(Math.min(line.to, scale.to))] = 1
    if (line.task !== undefined) continue
    for (const { kind, from, to } of line.spans) {
      if (kind !== 'running') continue
      const [begin, end] = [column(from), column(Math.min(to, scale.to))]
      changes[begin]! += 1
      changes[end + 1]! -= 1
    }
    if (line.spans.length === 0) {
      changes[column(line.from)]! += 1
      changes[column(line.from) + 1]! -= 1
    }
  }
  let [running, most] = [0, 1]
  const heights = Array.from({ length: columns }, (_, i) => (running += changes[i]!))
  for (const height of heights) most = Math.max(most, height)
  const context = canvas.getContext('2d')!
  const style = getComputedStyle(canvas)
  const [normal, red] = [style.getPropertyValue('--model'), style.getPropertyValue('--failed')]
  context.clearRect(0, 0, canvas.width, canvas.height)
  const width = canvas.width / columns
  // The root keeps a few calls visible beside many.
  const top = (part: number) =>
    canvas.height - Math.max(2 * density, Math.sqrt(part / most) * (canvas.height - 4 * density))
  context.globalAlpha = 0.55
  context.fillStyle = normal
  context.beginPath()
  context.moveTo(0, canvas.height)
  for (const [i, height] of heights.entries()) {
    const y = height === 0 ? canvas.height : top(height)
    context.lineTo(i * width, y)
    context.lineTo((i + 1) * width, y)
  }
  context.lineTo(canvas.width, canvas.height)
  context.fill()
  context.globalAlpha = 1
  context.fillStyle = red
  for (const [i, isFailure] of failed.entries())
    if (isFailure) context.fillRect(i * width, top(Math.max(heights[i]!, most / 3)), 2 * density, canvas.height)
}

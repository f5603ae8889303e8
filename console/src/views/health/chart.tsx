import { useEffect, useRef, useState } from 'react'
import type uPlot from 'uplot'
import { type Tone, toneStyle } from '../../ui/badge.tsx'
import { timeText } from '../../ui/format.ts'
import { shownTheme, useSettings } from '../../shell/settings.ts'
import 'uplot/dist/uPlot.min.css'
import styles from './chart.module.css'

export interface Line {
  readonly name: string
  readonly tone: Tone
  readonly values: readonly (number | null)[]
}

interface ChartProps {
  readonly label: string
  /** Seconds since the epoch. */
  readonly times: readonly number[]
  readonly lines: readonly Line[]
  readonly text: (value: number) => string
}

const height = 152

/** It formats numbers in the language of the browser, and is not loaded where that is none, such as `en-US@posix` of a system without a locale. */
function loadPlot() {
  try {
    Intl.getCanonicalLocales(navigator.language)
  } catch {
    Object.defineProperty(navigator, 'language', { value: 'en' })
  }
  return import('uplot')
}

/** Numbers over time. What is under the pointer stands above the chart, else the newest values. */
export function Chart({ label, times, lines, text }: ChartProps) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(undefined)
  const [at, setAt] = useState<number>()
  const { zone, theme } = useSettings()
  const tones = lines.map(({ tone }) => tone).join(' ')
  const shown = shownTheme()
  const data = [times, ...lines.map(({ values }) => values)] as unknown as uPlot.AlignedData
  const newest = useRef(data)
  newest.current = data

  useEffect(() => {
    const element = place.current!
    let isGone = false
    let observer: ResizeObserver | undefined
    void loadPlot().then(({ default: Plot }) => {
      if (isGone) return
      const created = new Plot(optionsOf(element, tones.split(' '), zone, text, setAt), newest.current, element)
      plot.current = created
      observer = new ResizeObserver(() => created.setSize({ width: element.clientWidth, height }))
      observer.observe(element)
    })
    return () => {
      isGone = true
      observer?.disconnect()
      plot.current?.destroy()
      plot.current = undefined
    }
  }, [tones, zone, theme, shown])
  useEffect(() => plot.current?.setData(data))

  const index = at ?? times.length - 1
  return (
    <figure className={styles.chart} aria-label={label}>
      <figcaption>
        <span className={styles.label} title="Sampled while somebody looks, and for a minute after">
          {label}
        </span>
        <span className={styles.values}>
          {at !== undefined && times[at] !== undefined && (
            <span className={styles.time}>{timeText(times[at] * 1_000, zone).slice(0, 8)}</span>
          )}
          {lines.map(({ name, tone, values }) => (
            <span key={name} style={toneStyle(tone)} className={styles.value}>
              {name !== '' && name}{' '}
              <b>{values[index] === null || values[index] === undefined ? '–' : text(values[index])}</b>
            </span>
          ))}
        </span>
      </figcaption>
      <div ref={place} className={styles.plot} style={{ height }} />
    </figure>
  )
}

function optionsOf(
  element: HTMLElement,
  tones: readonly string[],
  zone: 'local' | 'utc',
  text: (value: number) => string,
  onPoint: (index: number | undefined) => void,
): uPlot.Options {
  const style = getComputedStyle(element)
  const colour = (name: string) => style.getPropertyValue(`--${name}`).trim()
  const axis = {
    stroke: colour('text-3'),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: colour('border'), width: 1 },
    ticks: { show: false },
  }
  return {
    width: element.clientWidth,
    height,
    padding: [8, 4, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(1, (max ?? 0) * 1.1)] } },
    axes: [
      { ...axis, size: 24, grid: { show: false }, values: (_, splits) => splits.map(each => timeText(each * 1_000, zone).slice(0, 5)) },
      { ...axis, size: 44, space: 34, values: (_, splits) => splits.map(text) },
    ],
    series: [{}, ...tones.map(tone => ({ stroke: colour(tone), width: 1.6, fill: `color-mix(in srgb, ${colour(tone)} 12%, transparent)`, points: { show: false } }))],
    hooks: { setCursor: [({ cursor: { idx } }) => onPoint(idx ?? undefined)] },
  } // biome-ignore format: one axis, one series a line
}

import { instruments } from './metrics.ts'
import { refreshGauges } from './watch-log.ts'
import type { AnyInstrument, Distribution, Histogram } from './registry.ts'

/** https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const prometheusType = 'text/plain; version=0.0.4; charset=utf-8'

export async function prometheusText(): Promise<string> {
  await refreshGauges()
  return formatInstruments(instruments)
}

export const formatInstruments = (shown: readonly AnyInstrument[]) =>
  `${shown.flatMap(each => [...linesOf(each)]).join('\n')}\n`

function* linesOf(instrument: AnyInstrument): Generator<string> {
  const name = nameOf(instrument)
  yield `# HELP ${name} ${instrument.description}`
  yield `# TYPE ${name} ${instrument.kind}`
  if (instrument.kind === 'histogram')
    for (const { labels, value } of instrument.series) yield* bucketsOf(name, instrument, labels, value)
  else for (const { labels, value } of instrument.series) yield `${name}${written(instrument.labels, labels)} ${value}`
}

function* bucketsOf(name: string, histogram: Histogram, labels: readonly string[], value: Distribution) {
  const names = [...histogram.labels, 'le']
  let upTo = 0
  for (const [i, bound] of histogram.bounds.entries()) {
    upTo += value.counts[i]!
    yield `${name}_bucket${written(names, [...labels, String(bound)])} ${upTo}`
  }
  yield `${name}_bucket${written(names, [...labels, '+Inf'])} ${value.count}`
  yield `${name}_sum${written(histogram.labels, labels)} ${value.sum}`
  yield `${name}_count${written(histogram.labels, labels)} ${value.count}`
}

/** Translates names as collectors do. Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/ */
function nameOf({ name, unit, kind }: AnyInstrument): string {
  return name.replaceAll('.', '_') + (unit === 's' ? '_seconds' : '') + (kind === 'counter' ? '_total' : '')
}

function written(names: readonly string[], values: readonly string[]): string {
  if (names.length === 0) return ''
  return `{${names.map((name, i) => `${name}="${escaped(values[i]!)}"`).join(',')}}`
}

const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

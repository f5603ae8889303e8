import type { HrTime } from '@opentelemetry/api'
import type { Resource } from '@opentelemetry/resources'
import type * as SdkMetrics from '@opentelemetry/sdk-metrics'
import type { DataPoint, MetricData, MetricProducer } from '@opentelemetry/sdk-metrics'
import { instruments } from '../bus/telemetry/metrics.ts'
import type { AnyInstrument, Series } from '../bus/telemetry/registry.ts'
import { refreshGauges } from '../bus/telemetry/watch-log.ts'

type Sdk = typeof SdkMetrics

const hrTime = (ms: number): HrTime => [Math.floor(ms / 1_000), Math.round((ms % 1_000) * 1e6)]

export function metricProducer(sdk: Sdk, resource: Resource): MetricProducer {
  const startTime = hrTime(performance.timeOrigin)
  return {
    async collect() {
      await refreshGauges()
      const endTime = hrTime(Date.now())
      const metrics = instruments.map(instrument => metricOf(sdk, instrument, startTime, endTime))
      const scopeMetrics = [{ scope: { name: 'tidings' }, metrics: metrics.filter(each => each.dataPoints.length > 0) }]
      return { resourceMetrics: { resource, scopeMetrics }, errors: [] }
    },
  }
}

function metricOf(sdk: Sdk, instrument: AnyInstrument, startTime: HrTime, endTime: HrTime): MetricData {
  const { name, description, unit, labels: names } = instrument
  const common = {
    descriptor: { name, description, unit, valueType: 1 },
    aggregationTemporality: sdk.AggregationTemporality.CUMULATIVE,
  }
  const point = <T>({ labels }: Series<unknown>, value: T): DataPoint<T> => ({
    startTime,
    endTime,
    attributes: Object.fromEntries(names.map((each, i) => [each, labels[i]])),
    value,
  })
  if (instrument.kind === 'histogram') {
    const boundaries = [...instrument.bounds]
    const dataPoints = Array.from(instrument.series, series => {
      const { counts, count, sum } = series.value
      return point(series, { buckets: { boundaries, counts: [...counts] }, count, sum })
    })
    return { ...common, dataPointType: sdk.DataPointType.HISTOGRAM, dataPoints }
  }
  const dataPoints = Array.from(instrument.series, series => point(series, series.value))
  return instrument.kind === 'counter'
    ? { ...common, dataPointType: sdk.DataPointType.SUM, isMonotonic: true, dataPoints }
    : { ...common, dataPointType: sdk.DataPointType.GAUGE, dataPoints }
}

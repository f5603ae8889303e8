import { expect, test } from 'vitest'
import { Counter, Histogram } from '../../src/bus/telemetry/registry.ts'
import { formatInstruments as textOfMetrics } from '../../src/bus/telemetry/prometheus.ts'
import { describeCollector, readPrometheus, total } from './lib/collector.ts'

const named = (name: string, ...labels: string[]) => ({ name, description: 'Of a test.', unit: 's', labels })

test('names that users make up do not grow a metric beyond its bound', () => {
  const counter = new Counter(named('test.made_up', 'type', 'outcome'))
  for (let i = 0; i < 1_000; i++) counter.add(1, `type-${i}`, 'done')
  counter.add(1, 'type-3', 'done')
  const series = [...counter.series]
  expect(series).toHaveLength(256)
  expect(series.find(({ labels }) => labels[0] === 'type-3')!.value).toBe(2)
  expect(series.find(({ labels }) => labels[0] === 'other')).toMatchObject({ labels: ['other', 'other'], value: 745 })
})

test('a value on a bound belongs below it', () => {
  const histogram = new Histogram(named('test.held'), [1, 2])
  for (const value of [0.5, 1, 1.5, 2, 2.5]) histogram.record(value)
  expect([...histogram.series]).toEqual([{ labels: [], value: { counts: [2, 2, 1], count: 5, sum: 7.5 } }])
})

describeCollector("with Prometheus' own parser", () => {
  test('any name is read as it was written', () => {
    const counter = new Counter(named('test.named', 'type'))
    const histogram = new Histogram(named('test.held', 'type'), [1, 2])
    const name = 'a "quoted"\\ name\nof two lines, ünïcode'
    counter.add(0.5, name)
    for (const value of [0.5, 1.5, 99]) histogram.record(value, name)
    const { families, problems } = readPrometheus(textOfMetrics([counter, histogram]))
    expect(problems).toBeNull()
    expect(total(families.test_named_seconds_total, { type: name })).toBe(0.5)
    expect(families.test_held_seconds!.metric![0]).toMatchObject({
      histogram: {
        sampleCount: '3',
        sampleSum: 101,
        bucket: [{ cumulativeCount: '1' }, { cumulativeCount: '2' }, { cumulativeCount: '3' }],
      },
    })
  })
})

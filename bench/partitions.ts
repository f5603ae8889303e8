import { randomUUIDv7 } from 'node:crypto'
import { parseArgs } from 'node:util'
import { openBus } from '../src/runtime/environment.ts'
import { startNatsCluster } from '../src/testing/nats/cluster.ts'
import { circumstances, heading, host, hostElsewhere, row, spread, stopChild, withHome } from './lib/host.ts'
import { medianInterval } from './lib/interval.ts'
import { type Figures, figuresOf, tasksOf } from './lib/load.ts'
import { removeStreams, withManager } from './lib/nats.ts'
import { publisherOf, type Rates, ratesOf } from './lib/rates.ts'

/*
 * What do three partitions gain on a cluster of three servers, with three copies of each message? Awaited publishes of 500 B, and the task of
 * `bench/task.ts` with tools in another process, on one partition and on three, alternately, each on an empty log. Prints the
 * median ratio of the pairs and its 95 % interval; above 1, several partitions are better.
 *
 *     node bench/partitions.ts [--partitions 3] [--pairs 10] [--events 20000] [--tasks 2000] [--shapes script]
 */

const { values } = parseArgs({
  options: {
    partitions: { type: 'string', default: '3' },
    pairs: { type: 'string', default: '10' },
    events: { type: 'string', default: '20000' },
    tasks: { type: 'string', default: '2000' },
    shapes: { type: 'string', default: 'script' },
  },
})
const several = Number(values.partitions)
const pairs = Number(values.pairs)

await using cluster = await startNatsCluster(3)
const hosts = cluster.urls.map(url => new URL(url).host).join(',')
console.log(`${circumstances(pairs)}; three servers of one machine, three copies, 1 partition and ${several}\n`)
heading(['', '1 partition', `${several} partitions`, 'ratio: median (95 % interval)'])
await printPublishing()
for (const shape of values.shapes.split(',').filter(Boolean)) await printTasks(shape)

async function printPublishing() {
  const runs = await alternate<Rates>(url =>
    withHome(async home => ratesOf(publisherOf(await openBus({ home, bus: url })), Number(values.events))),
  )
  compare('publish alone, p50 in ms', runs, ({ p50 }) => p50, { digits: 3, isLessBetter: true })
  compare('events/s, 256 outstanding', runs, ({ perSecond }) => perSecond)
}

async function printTasks(shape: string) {
  const runs = await alternate<Figures>(url =>
    withHome(async home => {
      const elsewhere = await hostElsewhere(home, ['tools'], url)
      const here = await host(home, ['agents', 'models'], url)
      try {
        return await figuresOf(tasksOf(here.bus, `bench.${shape}`), Number(values.tasks))
      } finally {
        await here.stop()
        await stopChild(elsewhere)
      }
    }),
  )
  compare(`${shape}: p50 alone, ms`, runs, ({ p50 }) => p50, { digits: 2, isLessBetter: true })
  compare(`${shape}: tasks/s at 32`, runs, ({ at32 }) => at32)
  compare(`${shape}: tasks/s at 256`, runs, ({ at256 }) => at256)
}

interface Runs<T> {
  readonly one: T[]
  readonly several: T[]
}

/** The order alternates, because the first may warm the disk for the second. */
async function alternate<T>(measure: (url: string) => Promise<T>): Promise<Runs<T>> {
  const runs: Runs<T> = { one: [], several: [] }
  for (let pair = 0; pair < pairs; pair++)
    for (const name of pair % 2 ? (['several', 'one'] as const) : (['one', 'several'] as const))
      runs[name].push(await withClusterLog(name === 'one' ? 1 : several, measure))
  return runs
}

/** An empty log, which is removed afterwards. */
async function withClusterLog<T>(partitions: number, work: (url: string) => Promise<T>): Promise<T> {
  const log = `bench_${randomUUIDv7()}`
  try {
    return await work(`nats://${hosts}/${log}?replicas=3&partitions=${partitions}`)
  } finally {
    await withManager(cluster.urls[0]!, manager => removeStreams(manager, log))
  }
}

function compare<T>(
  what: string,
  { one, several }: Runs<T>,
  of: (run: T) => number,
  { digits = 0, isLessBetter = false } = {},
) {
  const ratios = one.map((each, pair) => of(several[pair]!) / of(each)).map(ratio => (isLessBetter ? 1 / ratio : ratio))
  row([what, spread(one.map(of), digits), spread(several.map(of), digits), medianInterval(ratios)])
}

import { parseArgs } from 'node:util'
import { rawPublisher } from './lib/floors/publish.ts'
import { circumstances, heading, row, spread, withHome } from './lib/host.ts'
import { natsOptions, withLog, withNats, type NatsServer } from './lib/nats.ts'
import { publisherOf, type Rates, ratesOf } from './lib/rates.ts'
import { openBus } from '../src/runtime/environment.ts'

/*
 * How fast are awaited publishes of 500 B on NATS, alone and with 256 outstanding, beside the raw client on the same server? `node bench/publish.ts [--bus nats|nats://HOST:PORT] [--sync always] [--repeats 5]
 * [--events 50000]`; `--raw` leaves Tidings out.
 */

const { values } = parseArgs({
  options: {
    ...natsOptions,
    repeats: { type: 'string', default: '5' },
    events: { type: 'string', default: '50000' },
    raw: { type: 'boolean', default: false },
  },
})
const repeats = Number(values.repeats)
const events = Number(values.events)

await withNats(values.bus, values.sync, async server => {
  console.log(`${circumstances(repeats)}; ${server.about}\n`)
  const raw: Rates[] = []
  const tidings: Rates[] = []
  for (let round = 0; round < repeats; round++) {
    raw.push(await ratesOf(await rawPublisher(server.url), events))
    if (!values.raw) tidings.push(await ratesOfTidings(server))
  }
  heading(['', 'p50 alone, ms', 'events/s, 256 outstanding', "of the raw client's"])
  for (const [name, rates] of Object.entries({ 'js.publish': raw, 'bus.publish': tidings }))
    if (rates.length > 0)
      row([
        name,
        spread(
          rates.map(({ p50 }) => p50),
          3,
        ),
        spread(rates.map(({ perSecond }) => perSecond)),
        spread(
          rates.map(({ perSecond }, round) => perSecond / raw[round]!.perSecond),
          2,
        ),
      ])
})

function ratesOfTidings(server: NatsServer): Promise<Rates> {
  return withHome(home =>
    withLog(server, async url => {
      const bus = await openBus({ home, bus: url })
      return ratesOf(publisherOf(bus), events)
    }),
  )
}

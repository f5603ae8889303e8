import { setTimeout } from 'node:timers/promises'
import type { Bus } from '../bus/bus.ts'
import type { CloudEvent } from '../event.ts'
import { environment, shownLog } from '../runtime/environment.ts'
import { Rates } from '../trace/rates.ts'
import { attentionOf } from './attention-list.ts'
import { terminalWidth } from './event-line.ts'
import { withExistingLog } from './log.ts'
import { say, untilAsked, type Globals } from './out.ts'
import { restingOn } from './resting.ts'
import { Screen } from './screen.ts'
import { drawPicture, type Picture } from './top-picture.ts'

export interface TopOptions extends Globals {
  once?: boolean
}

/** Of the past so many events are read, so that the first picture shows what went on before. */
const readBack = 20_000
const everyMs = 1_000
/** The attention list may be long: it is counted every so many pictures. */
const attentionEvery = 5
const pipeRows = 100

/** `tidings top` */
export async function top({ json, once }: TopOptions): Promise<void> {
  const asked = untilAsked()
  await withExistingLog(async bus => {
    const { rates, head } = await past(bus)
    if (once) return show(await pictureOf(bus, rates, await attentionIn(bus)), json)
    const stop = new AbortController()
    const signal = AbortSignal.any([asked, stop.signal])
    const screen = process.stdout.isTTY && !json ? new Screen(process.stdout) : undefined
    try {
      await Promise.all([follow(bus, rates, head, signal), showAll(bus, rates, signal, json, screen)])
    } finally {
      stop.abort()
      screen?.close()
    }
  })
}

/** The rates of what has just been, and the position after which it goes on. */
async function past(bus: Bus): Promise<{ rates: Rates; head: number }> {
  const head = await bus.driver.head()
  const after = Math.max(0, head - readBack)
  const recent: CloudEvent[] = []
  const minuteAgo = Date.now() - 60_000
  let first: number | undefined
  for await (const { event } of bus.read({ after, until: head })) {
    first ??= Date.parse(event.time)
    if (Date.parse(event.time) >= minuteAgo) recent.push(event)
  }
  const rates = new Rates(after === 0 ? 0 : (first ?? 0))
  for (const event of recent) rates.add(await priced(bus, event), Math.min(Date.now(), Date.parse(event.time)))
  return { rates, head }
}

async function follow(bus: Bus, rates: Rates, after: number, signal: AbortSignal): Promise<void> {
  for await (const { event } of bus.follow(after, undefined, signal)) rates.add(await priced(bus, event), Date.now())
}

/** What a model took stands in the data, which may lie in a blob. */
async function priced(bus: Bus, event: CloudEvent): Promise<CloudEvent> {
  return event.type === 'model.result' ? bus.resolve(event).catch(() => event) : event
}

async function showAll(bus: Bus, rates: Rates, signal: AbortSignal, json?: boolean, screen?: Screen): Promise<void> {
  let attention = 0
  for (let n = 0; !signal.aborted; n++) {
    const begin = performance.now()
    if (n % attentionEvery === 0) attention = await attentionIn(bus)
    const picture = await pictureOf(bus, rates, attention)
    if (screen) screen.draw((columns, rows) => drawPicture(picture, columns, rows))
    else await show(picture, json)
    // The signal ends the wait.
    await setTimeout(Math.max(0, everyMs - (performance.now() - begin)), undefined, { signal }).catch(() => {})
  }
}

async function pictureOf(bus: Bus, rates: Rates, attention: number): Promise<Picture> {
  const groups = await bus.driver.listGroups()
  const now = Date.now()
  const log = `${bus.driver.name} in ${shownLog(environment())}`
  const resting = await restingOn(bus, groups)
  return { log, time: new Date(now).toISOString(), groups, activity: rates.activity(now), resting, attention }
}

const attentionIn = async (bus: Bus) => (await Array.fromAsync(attentionOf(bus), () => 1)).length

const show = (picture: Picture, json: boolean | undefined) =>
  say(json ? JSON.stringify(picture) : [...drawPicture(picture, terminalWidth(), pipeRows), ''].join('\n'))

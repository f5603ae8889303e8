import { randomUUIDv7 } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { glob } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Bus } from '../../src/bus/bus.ts'
import { openBus } from '../../src/runtime/environment.ts'
import { until } from '../../src/testing/wait.ts'
import { launch } from '../lib/cli.ts'
import { embeddedWorld, type World } from '../lib/world.ts'
import { listening } from './lib/listening.ts'
import { recording } from './lib/tapped.ts'

/* Calls that are really not on the log, and what the log says about them. */

async function startTap(place: World['place'], upstream: string) {
  const route = ['--route', 'GET /*', '--name', 'desk', '--upstream', upstream]
  const child = launch(place, ['tap', 'http', ...route, '--port', '0', '--json'])
  onTestFinished(() => void child.kill('SIGKILL'))
  const { value } = await createInterface(child.stdout)[Symbol.asyncIterator]().next()
  const { url } = JSON.parse(value as string) as { url: string }
  return {
    async call(times: number) {
      const each = async () => {
        for (let left = times / 25; left > 0; left--) await (await fetch(`${url}/x`)).text()
      }
      await Promise.all(Array.from({ length: 25 }, each))
    },
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** Nobody else can write to the embedded log until the returned function is called. */
async function lock(home: string): Promise<() => void> {
  const [file] = await Array.fromAsync(glob(join(home, '**/log.db')))
  const database = new DatabaseSync(file!, { timeout: 10_000 })
  database.exec('BEGIN IMMEDIATE')
  return () => {
    database.exec('ROLLBACK')
    database.close()
  }
}

const counted = async (bus: Bus) => {
  const gaps: number[] = []
  let recorded = 0
  for await (const { event } of bus.read({})) {
    if (event.type === 'http.request') recorded++
    if (event.type === 'tap.gap') gaps.push(((await bus.resolve(event)).data as { calls: number }).calls)
  }
  return { recorded, gaps }
}

test('calls for which there was no room during an outage are counted on the log, one by one', async () => {
  const world = await embeddedWorld()
  const { bus, recorder } = await recording(world, { maxCalls: 5 })
  const unlock = await lock(world.place.home)
  const call = {
    type: 'http.request',
    subject: 'GET /x',
    correlationid: randomUUIDv7(),
    data: null,
    outline: null,
  } as const
  const calls = Array.from({ length: 12 }, () => recorder.begin(() => call))
  for (const each of calls) each.end({ type: 'http.response', data: null })
  expect(recorder.status).toMatchObject({ calls: 12, waiting: 5, unrecorded: 7 })
  unlock()
  await until(async () => (await counted(bus)).gaps.length > 0 && recorder.status.waiting === 0)
  expect(await counted(bus)).toEqual({ recorded: 5, gaps: [7] })
})

test('calls that a killed process had not recorded are counted on the log by the next one, one by one', async () => {
  const { place } = await embeddedWorld()
  let forwarded = 0
  const upstream = await listening(createServer((_, outgoing) => outgoing.end(String(++forwarded))))
  const bus = await openBus(place)
  onTestFinished(() => bus.close())
  const tap = await startTap(place, upstream)
  await tap.call(25)
  await until(async () => (await counted(bus)).recorded === 25)
  const unlock = await lock(place.home)
  // More than wait for the log.
  await tap.call(1_050)
  await tap.kill()
  unlock()
  expect(forwarded).toBe(1_075)
  const next = await startTap(place, upstream)
  await until(async () => (await counted(bus)).gaps.length > 0)
  expect(await counted(bus)).toEqual({ recorded: 25, gaps: [1_050] })
  // Not once more by the process after that.
  await next.kill()
  await startTap(place, upstream)
  expect(await counted(bus)).toEqual({ recorded: 25, gaps: [1_050] })
}, 60_000)

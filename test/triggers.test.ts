import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, it, onTestFinished, vi } from 'vitest'
import type { Bus } from '../src/bus/bus.ts'
import type { CloudEvent } from '../src/event.ts'
import type { FileEvent, ScheduleFired } from '../src/received.ts'
import { openBus } from '../src/runtime/environment.ts'
import { TestClock } from '../src/testing/clock.ts'
import { collect, until } from '../src/testing/wait.ts'
import { schedule } from '../src/triggers/schedule/schedule.ts'
import { launch, tidings } from './lib/cli.ts'
import { rememberIdsFor } from './lib/nats-ids.ts'
import { onEveryBus, type World } from './lib/world.ts'

/* Schedules and folders in processes of their own, and the verbs that show and try them. */

const app = join(import.meta.dirname, 'lib/triggers-app.ts')
vi.stubEnv('TRIGGERS_BEGAN', `${Date.now()}`)

/** A worker that runs the triggers only. */
async function worker({ place }: World): Promise<ChildProcess> {
  await mkdir(join(place.home, 'drop'), { recursive: true })
  const child = launch(place, ['run', app, '--only', 'triggers'])
  onTestFinished(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  return child
}

async function logOf({ place }: World): Promise<Bus> {
  const bus = await openBus(place)
  onTestFinished(() => bus.driver.close())
  return bus
}

async function ticks(bus: Bus): Promise<string[]> {
  const found = await collect(bus.read({ filter: [{ types: ['schedule.fired'] }] }))
  return found
    .map(({ event }) => event as CloudEvent<ScheduleFired>)
    .filter(({ source }) => source === '/triggers/tick')
    .map(({ data }) => data.due)
}

onEveryBus(world => {
  it('fires once for all processes, even if they are killed', async () => {
    const log = await world()
    const bus = await logOf(log)
    const first = await worker(log)
    await worker(log)
    await until(async () => (await ticks(bus)).length >= 5, { within: 15_000 })
    first.kill('SIGKILL')
    await worker(log)
    const seen = (await ticks(bus)).length
    await until(async () => (await ticks(bus)).length >= seen + 5, { within: 15_000 })
    const due = (await ticks(bus)).map(text => Date.parse(text)).toSorted((a, b) => a - b)
    // Each second from the first to the last, once.
    expect(due).toEqual(due.map((_, i) => due[0]! + i * 1_000))
  })

  it('publishes each file once, even if its worker is killed', async () => {
    const log = await world()
    const bus = await logOf(log)
    await mkdir(join(log.place.home, 'drop'))
    const names = Array.from({ length: 150 }, (_, i) => `${i}.csv`)
    for (const name of names) await writeFile(join(log.place.home, 'drop', name), `content of ${name}`)
    const created = async () => {
      const found = await collect(bus.read({ filter: [{ types: ['file.*'] }] }))
      return found.map(({ event }) => `${event.type} ${(event.data as FileEvent).path}`)
    }
    for (const enough of [30, names.length]) {
      const child = await worker(log)
      await until(async () => (await created()).length >= enough, { within: 15_000 })
      if (enough === names.length) break
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await writeFile(join(log.place.home, 'drop', 'last.csv'), '')
    await until(async () => (await created()).includes('file.created last.csv'), { within: 15_000 })
    const expected = [...names, 'last.csv'].map(name => `file.created ${name}`)
    expect((await created()).toSorted()).toEqual(expected.toSorted())
  })

  it('prints the event of a sample', async () => {
    const log = await world()
    await worker(log)
    const bus = await logOf(log)
    await until(async () => (await ticks(bus)).length > 0, { within: 15_000 })
    const [nightly, drop] = await Promise.all([
      verb(log.place, 'test', 'nightly', '--json'),
      verb(log.place, 'test', 'drop'),
    ])
    expect(JSON.parse(nightly.stdout)).toMatchObject({
      event: { source: '/triggers/nightly', data: { schedule: 'nightly', sample: true } },
    })
    expect(drop).toMatchObject({ code: 0, stdout: expect.stringMatching(/file\.created +.*tidings-sample/) })
    expect(await readdir(join(log.place.home, 'drop'))).toEqual([])
  })

  it('fires once even if the mark was not stored and the broker has forgotten the id', async () => {
    const log = await world()
    const clock = new TestClock()
    clock.set(Date.now())
    const tick = (catchUp: 'last' | 'all') => ({ every: '1m', catchUp }) as const
    const work = (catchUp: 'last' | 'all') =>
      log.worker(
        { use: [schedule('tick', tick(catchUp), { now: clock.now, pollIntervalMs: 5 })] },
        { only: ['triggers'] },
      )
    const { bus } = await work('all')
    if (bus.driver.name === 'nats') await rememberIdsFor(log.place.bus.split('/').at(-1)!, 1_000)
    const before = (await bus.driver.getDocument('schedule/tick'))!
    clock.advance(60_000)
    const fired = await until(async () => (await ticks(bus)).length > 0 && ticks(bus))
    const written = await until(async () => {
      const document = await bus.driver.getDocument('schedule/tick')
      return document!.revision > before.revision && document
    })
    await log.stop()
    const other = await logOf(log)
    if (other.driver.name === 'nats') await forgotten(other)
    await other.driver.putDocument('schedule/tick', before.value, written.revision)
    clock.advance(60_000)
    await work('all')
    await until(async () => (await ticks(other)).length > fired.length)
    const due = await ticks(other)
    expect(due).toEqual([...new Set(due)])
    expect(due.slice(0, fired.length)).toEqual(fired)
  })
})

it('lists triggers and sinks, and says why a sample published no event', async () => {
  const home = await mkdtemp(join(tmpdir(), 'tidings-test-'))
  onTestFinished(() => rm(home, { recursive: true }))
  await mkdir(join(home, 'drop'))
  const place = { home, bus: 'sqlite' }
  const withSink = join(home, 'app.ts')
  const source = pathToFileURL(join(import.meta.dirname, '../src/index.ts')).href
  await writeFile(
    withSink,
    `import { app, kafkaSink, schedule } from '${source}'
     const sink = kafkaSink({ name: 'bills', url: 'kafka://user:secret@broker:9092?sasl=plain', topics: { bills: { types: ['bill.>'] } } })
     export default app({ name: 'shop', use: [sink, schedule('tick', { every: '1m' })] })`,
  )
  const [list, sinks, isSink, silent, none, unknown] = await Promise.all([
    tidings(place, ['trigger', 'list', app]),
    tidings(place, ['trigger', 'list', withSink]),
    tidings(place, ['trigger', 'test', 'bills', '--app', withSink]),
    verb(place, 'test', 'drop', '--within', '200ms'),
    verb(place, 'test', 'feed'),
    verb(place, 'test', 'other'),
  ])
  expect(list.stdout.split('\n').slice(0, 5)).toEqual([
    expect.stringMatching(/^trigger +publishes +listens$/),
    expect.stringMatching(/^tick +schedule\.fired +schedule:tick every 1s$/),
    expect.stringMatching(/^nightly +schedule\.fired +schedule:nightly 0 3 \* \* \* Europe\/Berlin$/),
    expect.stringMatching(/^drop +file\.created file\.changed file\.removed +file:\/\/\/.*\/drop$/),
    expect.stringMatching(/^feed +row\.added$/),
  ])
  expect(sinks.stdout.trimEnd().split('\n')).toEqual([
    expect.stringMatching(/^trigger +publishes +listens$/),
    expect.stringMatching(/^tick +schedule\.fired +schedule:tick every 1m$/),
    expect.stringMatching(/^sink +takes +writes to$/),
    expect.stringMatching(/^bills +bill\.> +kafka:\/\/broker:9092$/),
  ])
  expect(isSink).toMatchObject({ code: 1, stderr: expect.stringMatching(/"bills" is a sink.*E_NOT_FOUND/s) })
  expect(silent).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/trigger "drop" published no event within 200ms/),
  })
  expect(await readdir(join(home, 'drop'))).toEqual([])
  expect(none).toMatchObject({ code: 1, stderr: expect.stringMatching(/"feed".*E_TRIGGER_SILENT/s) })
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringMatching(/no trigger "other".*tick, nightly/) })
})

const verb = (place: World['place'], ...args: string[]) => tidings(place, ['trigger', ...args, '--app', app])

/** Until it has forgotten what it knows now. */
async function forgotten(bus: Bus): Promise<void> {
  const probe = { id: 'probe', type: 'probe.sent', correlationid: '00000000-0000-7000-8000-000000000000', data: null }
  await bus.publish(probe)
  await until(async () => !(await bus.publish(probe)).duplicate)
}

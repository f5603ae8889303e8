import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { all, by, on, workflow } from '../../src/index.ts'
import type { CloudEvent } from '../../src/event.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import { importFrom } from '../../src/replay/slice-import.ts'
import { writeSlice } from '../../src/replay/slice-write.ts'
import { sourceFromBus, sourceFromFile } from '../../src/replay/source.ts'
import { openBus } from '../../src/runtime/environment.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import { Programs } from '../../src/tasks/programs.ts'
import { collect, until } from '../../src/testing/wait.ts'
import { onAnyBus } from '../lib/world.ts'

/* An instance with a key gets each event in another one, which holds it. */

const pair = workflow('pair', { key: [by('left.came', e => e.n), by('right.came', e => e.n)], within: '1h' })
  .when('both', all(on('left.came').as('left'), on('right.came').as('right')), { within: '1h' })
  .emit('pair.done', s => s.left.more)

const mostBytes = 4 * 1024 * 1024
const largest = { n: 1, more: 'x'.repeat(mostBytes - JSON.stringify({ n: 1, more: '' }).length) }
const nested = (levels: number): unknown => (levels === 0 ? 1 : [nested(levels - 1)])
const deepest = { n: 1, more: nested(63) }

const within = 30_000
const firstOf = ({ bus }: Pick<RunningApp, 'bus'>, type: string, matches: (event: CloudEvent) => boolean = () => true) =>
  until(async () => (await collect(bus.read({ filter: [{ types: [type] }] }))).map(({ event }) => event).find(matches), { within }) // biome-ignore format: one line

onAnyBus(world => {
  it.each([
    ['as large', largest],
    ['as deep', deepest],
  ])('an event %s as events may be is taken, replayed, exported and imported', { timeout: 90_000 }, async (_, data) => {
    const log = await world()
    const first = await log.worker({ use: [pair] })
    await first.bus.publish({ type: 'left.came', data })
    await firstOf(first, 'task.turn')
    await log.stop()
    // It goes on from the journal.
    const running = await log.worker({ use: [pair] })
    const { bus } = running
    await bus.publish({ type: 'right.came', data })
    const done = await bus.resolve(await firstOf(running, 'pair.done'))
    expect(JSON.stringify(done.data) === JSON.stringify(data.more)).toBe(true)
    expect(await collect(bus.driver.listDeferred())).toEqual([])

    const home = await mkdtemp(join(tmpdir(), 'tidings-carried-'))
    onTestFinished(() => rm(home, { recursive: true, force: true }))
    const slice = join(home, 'slice.jsonl')
    expect(await writeSlice(sourceFromBus(bus, { all: true }), slice)).toMatchObject({ missing: 0 })
    const replay = new Replayer(new Programs([pair.definition]))
    for await (const { position, event } of sourceFromFile(slice).events()) await replay.add(position, event)
    expect(replay.finish()).toMatchObject({ tasks: 1, turns: 2, divergences: [], skipped: [] })

    const copy = await openBus({ bus: 'sqlite', home: join(home, 'copy') })
    onTestFinished(() => copy.driver.close())
    await importFrom(sourceFromFile(slice), copy)
    const whole = async (of: typeof bus) =>
      Promise.all((await collect(of.read({ filter: [{ types: ['workflow.event'] }] }))).map(({ event }) => of.resolve(event))) // biome-ignore format: one line
    const carried = await whole(copy)
    expect(JSON.stringify(carried) === JSON.stringify(await whole(bus))).toBe(true)
    const same = carried.map(each => JSON.stringify((each.data as { event: CloudEvent }).event.data) === JSON.stringify(data)) // biome-ignore format: one line
    expect(same).toEqual([true, true])
  })
})

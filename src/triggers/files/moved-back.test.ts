import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { onAnyBus } from '../../../test/lib/world.ts'
import type { FileEvent } from '../../received.ts'
import type { RunningApp } from '../../runtime/start.ts'
import { collect, until } from '../../testing/wait.ts'
import { files } from './files.ts'

const pace = { walkIntervalMs: 60_000, retryDelayMs: 50, flushIntervalMs: 60_000 }

onAnyBus(world => {
  test('the files of a folder that is moved out and back arrive again, with new ids; a restart announces nothing', async () => {
    const base = await mkdtemp(join(tmpdir(), 'tidings-moved-'))
    onTestFinished(() => rm(base, { recursive: true }))
    const [inbox, orders, aside] = [join(base, 'inbox'), join(base, 'inbox/orders'), join(base, 'aside')]
    await mkdir(orders, { recursive: true })
    await writeFile(join(orders, 'a.csv'), 'one')
    await writeFile(join(orders, 'b.csv'), 'two')

    const workers = await world()
    const use = [files('inbox', { folder: inbox, stable: '150ms' }, pace)]
    const work = () => workers.worker({ use }, { only: ['triggers'] })
    const events = async ({ bus }: RunningApp) =>
      (await collect(bus.read({ filter: [{ types: ['file.*'] }] }))).map(({ event }) => event)
    const story = async (running: RunningApp) =>
      (await events(running)).map(({ type, data }) => `${type} ${(data as FileEvent).path}`)
    const expected: string[] = []
    const expectMore = async (running: RunningApp, type: string) => {
      expected.push(`${type} orders/a.csv`, `${type} orders/b.csv`)
      await until(async () => (await story(running)).length >= expected.length)
      expect((await story(running)).toSorted()).toEqual(expected.toSorted())
    }

    let running = await work()
    await expectMore(running, 'file.created')
    for (const isRestarted of [false, true, false]) {
      await rename(orders, aside)
      await expectMore(running, 'file.removed')
      if (isRestarted) {
        await running.stop()
        running = await work()
      }
      await rename(aside, orders)
      await expectMore(running, 'file.created')
    }
    await running.stop()
    running = await work()
    // What comes behind it is all that comes.
    await writeFile(join(inbox, 'last.csv'), 'last')
    expected.push('file.created last.csv')
    await until(async () => (await story(running)).includes('file.created last.csv'))
    expect((await story(running)).toSorted()).toEqual(expected.toSorted())
    const ids = (await events(running)).map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
  })
})

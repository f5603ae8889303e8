import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { Bus } from '../../src/bus/bus.ts'
import { app } from '../../src/runtime/app.ts'
import { start } from '../../src/runtime/start.ts'
import { until } from '../../src/testing/wait.ts'
import { OutageServer } from '../lib/outage-server.ts'
import { onAnyBus, type World } from '../lib/world.ts'

const tasks = 200

onAnyBus(world => {
  it('three processes share one probe of a provider that is away, also when the one that probes is killed', async () => {
    const log = await world()
    const provider = await new OutageServer().start()
    const reader = await start(app({ name: 'reader', use: [] }), { ...log.place, only: [] })
    onTestFinished(() => reader.stop())
    const { bus } = reader
    const workers = await Promise.all([1, 2, 3].map(() => launch(log, provider)))
    await bus.publishAll(Array.from({ length: tasks }, () => ({ type: 'question', data: 'Why?' })))
    // All that were under way have failed, and a probe after them.
    const first = await until(async () => hasProbed(await circuitOf(bus)), { within: 20_000 })
    provider.mostAtOnce = provider.open.size
    provider.hangs = true
    await until(() => provider.open.size > 0, { within: 20_000 })
    expect(provider.mostAtOnce).toBe(1)
    const probing = workers.find(({ pid }) => pid === provider.pids.at(-1))!
    probing.kill('SIGKILL')
    await until(() => provider.open.size === 0)
    provider.hangs = false
    await letTimeOfProbeEnd(bus)
    await until(async () => hasProbed(await circuitOf(bus), first.intervalMs), { within: 20_000 })
    expect(provider.mostAtOnce).toBe(1)
    expect(provider.pids.at(-1)).not.toBe(probing.pid)

    provider.isAway = false
    const ends = { completed: 0, failed: 0 }
    for await (const { event } of bus.follow('0', [{ types: ['agent.task.*'] }], AbortSignal.timeout(60_000))) {
      ends[event.type === 'agent.task.completed' ? 'completed' : 'failed']++
      if (ends.completed + ends.failed === tasks) break
    }
    expect({ ...ends, answered: provider.answered }).toEqual({ completed: tasks, failed: 0, answered: tasks })
    expect(provider.refused).toBeLessThan(100)
    expect(await circuitOf(bus)).toBeUndefined()
  }, 120_000)
})

async function launch({ place }: World, { url }: OutageServer): Promise<ChildProcess> {
  const path = join(import.meta.dirname, '../lib/outage-child.ts')
  const child = fork(path, [JSON.stringify(place), url], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  await new Promise((resolve, reject) => {
    child.once('message', resolve)
    child.once('exit', code => reject(new Error(`the worker ended with ${code} before it was ready`)))
  })
  return child
}

interface Open {
  intervalMs: number
  probe?: { by: string; until: number }
}

async function circuitOf({ driver }: Bus): Promise<Open | undefined> {
  const document = await driver.getDocument('circuit/gpt')
  return document && (JSON.parse(document.value) as { open?: Open }).open
}

/** Whether a probe failed since the circuit opened, or since it waited for so long. */
const hasProbed = (open: Open | undefined, since = 1_000) => open && open.intervalMs > since && open

/** As if the half minute were over, after which another may probe. */
async function letTimeOfProbeEnd(bus: Bus): Promise<void> {
  const { revision, value } = (await bus.driver.getDocument('circuit/gpt'))!
  const { open } = JSON.parse(value) as { open: Open }
  if (!open.probe) return
  const over = { open: { ...open, probe: { by: open.probe.by, until: Date.now() } } }
  expect(await bus.driver.putDocument('circuit/gpt', JSON.stringify(over), revision)).toBeGreaterThan(0)
  bus.signal({ type: 'circuits.changed', data: { key: 'circuit/gpt' } })
}

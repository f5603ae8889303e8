import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, it, onTestFinished, vi } from 'vitest'
import { provisionApp } from '../src/runtime/start.ts'
import { connect } from '../src/runtime/connect.ts'
import { launch } from './lib/cli.ts'
import askApp from './lib/ask-app.ts'
import { onEveryBus, type World } from './lib/world.ts'

/* 1,000 requests of one process, while the worker is killed. Each result reaches its caller, and a third process finds it. */

const requests = 1_000

async function startWorker({ place }: World) {
  const worker = launch(place, ['run', join(import.meta.dirname, 'lib/ask-app.ts'), '--only', 'agents,tools', '--json'])
  onTestFinished(() => void worker.kill('SIGKILL'))
  for await (const line of createInterface(worker.stdout)) if (line.includes('"ready"')) break
  return worker
}

onEveryBus(world => {
  it('gives each of many concurrent callers its result, though the worker is killed', async () => {
    const created = await world()
    const caller = await connect(created.place.bus, { home: created.place.home })
    await provisionApp(askApp, caller.bus)
    const follow = vi.spyOn(caller.bus.driver, 'follow')
    const worker = await startWorker(created)
    const handles = await Promise.all(Array.from({ length: requests }, (_, n) => caller.ask('squarer', n)))
    const results = handles.map(handle => handle.result({ within: '50s' }))
    await Promise.any(results)
    worker.kill('SIGKILL')
    await once(worker, 'exit')
    await startWorker(created)
    expect(await Promise.all(results)).toEqual(Array.from({ length: requests }, (_, n) => n * n))
    expect(follow).toHaveBeenCalledTimes(1)
    await caller.close()
    const third = await connect(created.place.bus, { home: created.place.home })
    expect(await third.handle(handles.at(-1)!.id).result()).toBe((requests - 1) ** 2)
    await third.close()
  })
})

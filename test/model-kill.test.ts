import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { StreamPart } from '../src/ask/parts.ts'
import type { TaskHandle } from '../src/ask/handle.ts'
import { connect } from '../src/runtime/connect.ts'
import type { ModelResult } from '../src/tasks/conversation.ts'
import { until } from '../src/testing/wait.ts'
import { options, writer } from './lib/model-kill-app.ts'
import { eventsOf, onEveryBus, type World } from './lib/world.ts'

const child = join(import.meta.dirname, 'lib/model-kill-app.ts')

function modelWorker({ place: { home, bus } }: World, number: '1' | '2') {
  const worker = fork(child, [home, bus, number])
  onTestFinished(() => void worker.kill('SIGKILL'))
  return worker
}

/** What a reader shows of each call of a model: the pieces of its texts since their last restart. */
function shownOf(parts: readonly StreamPart[], kind: 'text' | 'reasoning'): string[] {
  const shown = new Map<string, string>()
  for (const part of parts)
    if (part.type === kind) shown.set(part.call, (shown.get(part.call) ?? '') + part.text)
    else if (part.type === 'restart' && part.kind === kind) shown.set(part.call, '')
  return [...shown.values()]
}

onEveryBus(world => {
  it('a worker of models that is killed in mid-text: the next attempt resets what that call wrote, and nothing else', {
    timeout: 120_000,
  }, async () => {
    const log = await world()
    const agents = await log.worker(options, { only: ['agents', 'tools'] })
    const handle = await agents.ask(writer, 'A story, please.')
    const read = (task: TaskHandle) => {
      const parts: StreamPart[] = []
      const done = (async () => {
        for await (const part of task.stream()) parts.push(part)
      })()
      done.catch(() => {})
      return { parts, done, texts: () => shownOf(parts, 'text') }
    }
    const reader = read(handle)
    const first = modelWorker(log, '1')
    const before = ['Let me look: 🌊. ', 'It was a dark and ']
    await until(() => reader.texts().join('|') === before.join('|'), { within: 40_000 })
    first.kill('SIGKILL')
    await once(first, 'exit')
    const other = await connect(log.place.bus, { home: log.place.home })
    onTestFinished(() => other.close())
    const late = read(other.handle(handle.id))
    const second = modelWorker(log, '2')
    const after = [before[0], 'On a bright mörning ']
    const isReset = () => [reader, late].every(({ texts }) => texts().join('|') === after.join('|'))
    await until(isReset)
    second.send('end')
    await Promise.all([reader.done, late.done])

    const events = await eventsOf(agents, handle.correlation)
    const asked = events.filter(({ type }) => type === 'model.invoke').map(({ id }) => id)
    const results = events.filter(({ type }) => type === 'model.result').map(({ data }) => data as ModelResult)
    expect(results.map(({ text }) => text)).toEqual([before[0], 'On a bright mörning of the 🌊 it ended.'])
    for (const { parts } of [reader, late]) {
      expect(shownOf(parts, 'text')).toEqual(results.map(({ text }) => text))
      expect(shownOf(parts, 'reasoning')).toEqual(results.map(({ reasoning }) => reasoning))
    }
    const restarts = reader.parts.filter(part => part.type === 'restart')
    expect(restarts.map(({ call, kind }) => [call, kind])).toEqual(['reasoning', 'text'].map(kind => [asked[1], kind]))
    expect(late.parts.filter(({ type }) => type === 'restart')).toEqual([])
    expect(await handle.result()).toBe(results[1]!.text)
  })
})

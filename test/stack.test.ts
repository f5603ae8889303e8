import { expect, test } from 'vitest'
import { z } from 'zod'
import { startGateway } from '../src/gateway/gateway.ts'
import { agent, tool, type ErrorData } from '../src/index.ts'
import { stackOf } from '../src/stack.ts'
import { until } from '../src/testing/wait.ts'
import { sourceFromBus } from '../src/replay/source.ts'
import { Replayer } from '../src/replay/replayer.ts'
import { Programs } from '../src/tasks/programs.ts'
import { ask, onAnyBus } from './lib/world.ts'

/* Where in the user's code something failed: on the log, and not elsewhere. */

const broken = tool('broken', {
  description: 'Throws',
  input: z.string(),
  run: text => {
    throw new Error(`no ${text}`, { cause: new RangeError('deep') })
  },
})
const caller = agent('caller', { on: 'call.wanted', run: async (ctx, text: string) => ctx.call(broken, text) })
const thrower = agent('thrower', {
  on: 'throw.wanted',
  run: (_, text: string) => {
    throw new TypeError(text)
  },
})
const errorOf = ({ data }: { data: unknown }) => (data as { error: ErrorData }).error

onAnyBus(world => {
  test('is stored with the failure of a task and of a tool, and reaches the caller', async () => {
    const running = await (await world()).worker({ use: [caller, thrower, broken] })
    const thrown = errorOf(await ask(running, { type: 'throw.wanted', source: '/test', data: 'bad' }))
    expect(thrown).toMatchObject({ code: 'E_PROGRAM_FAILED', message: 'bad' })
    expect(thrown.stack).toMatch(/^at run \(test\/stack\.test\.ts:\d+:\d+\)/)
    const called = errorOf(await ask(running, { type: 'call.wanted', source: '/test', data: 'luck' }))
    expect(called.stack).toMatch(/^at run \(test\/stack\.test\.ts:\d+:\d+\)/)
    expect(called.stack).not.toMatch(/node_modules|node:|src\//)
    expect(called.stack!.length).toBeLessThanOrEqual(2_048)
  })

  test('a replay does not diverge if only the line numbers changed', async () => {
    const running = await (await world()).worker({ use: [caller, thrower, broken] })
    const ended = await ask(running, { type: 'throw.wanted', source: '/test', data: 'bad' })
    const moved = agent('thrower', {
      on: 'throw.wanted',
      run: (_, text: string) => {
        throw new TypeError(text)
      },
    })
    const replay = new Replayer(new Programs([moved.definition]))
    for await (const { position, event } of sourceFromBus(running.bus, { correlation: ended.correlationid }).events())
      await replay.add(position, event)
    expect(replay.finish()).toMatchObject({ turns: 1, divergences: [], skipped: [] })
  })

  test('the stream of the gateway does not contain it', async () => {
    const running = await (await world()).worker({ use: [thrower] })
    const gateway = await startGateway({ bus: running.bus, port: 0 })
    const { url } = gateway
    try {
      const ended = await ask(running, { type: 'throw.wanted', source: '/test', data: 'bad' })
      expect(errorOf(ended).stack).toBeDefined()
      const abort = new AbortController()
      const answer = await fetch(`${url}/events/stream?correlation=${ended.correlationid}&type=agent.>&type=task.>`, {
        signal: abort.signal,
      })
      let text = ''
      const reading = answer
        .body!.pipeThrough(new TextDecoderStream())
        .pipeTo(new WritableStream({ write: chunk => void (text += chunk) }))
        .catch(() => {})
      await until(() => text.includes('event: agent.task.failed') && text.endsWith('\n\n'))
      abort.abort()
      await reading
      expect(text).toContain('E_PROGRAM_FAILED')
      expect(text).not.toContain('stack')
    } finally {
      await gateway.stop()
    }
  })
})

test('is bounded, and any thrown value is handled', () => {
  const nasty = {
    get stack(): string {
      throw new Error('x')
    },
  }
  for (const thrown of [
    undefined,
    null,
    'text',
    nasty,
    new Proxy(
      {},
      {
        get() {
          throw new Error('x')
        },
      },
    ),
  ])
    expect(stackOf(thrown)).toBeUndefined()
  const circle = new Error('a')
  circle.cause = circle
  expect(stackOf(circle)).toContain('stack.test.ts')
  const long = new Error('long')
  long.stack = `Error: long\n${Array.from({ length: 500 }, (_, i) => `    at f${i} (/app/x.ts:${i + 1}:1)`).join('\n')}`
  expect(stackOf(long)!.length).toBeLessThanOrEqual(2_048)
  expect(stackOf(long)).toMatch(/:1\)$/)
})

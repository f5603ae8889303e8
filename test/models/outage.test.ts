import { stripVTControlCharacters } from 'node:util'
import { describe, expect, it } from 'vitest'
import { agent } from '../../src/agents/agent.ts'
import { eventLine } from '../../src/cli/event-line.ts'
import type { CloudEvent } from '../../src/event.ts'
import { model } from '../../src/models/model.ts'
import type { RunningApp } from '../../src/runtime/start.ts'
import type { RetryOptions } from '../../src/tasks/retry.ts'
import { until } from '../../src/testing/wait.ts'
import { buildTraceTree } from '../../src/trace/build-tree.ts'
import { render } from '../../src/trace/render.ts'
import { tidings } from '../lib/cli.ts'
import { Provider } from '../lib/outage.ts'
import { ask, eventsOf, onAnyBus, typesOf } from '../lib/world.ts'

const asked = { type: 'question', data: 'Why?' }

onAnyBus(world => {
  const writerOf = (provider: Provider, options: { retry?: RetryOptions; limit?: number; within?: number } = {}) => {
    const { within, ...more } = options
    return agent('writer', {
      on: 'question',
      model: model(provider.model, { name: 'gpt', ...more }),
      instructions: 'Answer.',
      ...(within !== undefined && { within }),
    })
  }

  const dataOf = ({ data }: CloudEvent) => data as { output?: string; error?: { code: string; message: string } }

  describe('when a provider is away', () => {
    it('200 tasks wait for it, and few requests reach it', async () => {
      const provider = new Provider()
      provider.isAway = true
      const { bus } = await (await world()).worker({ use: [writerOf(provider, { limit: 20 })] })
      await bus.publishAll(Array.from({ length: 200 }, () => asked))
      // All that were under way have failed, and a probe after them.
      await until(async () => ((await circuitOf(bus))?.intervalMs ?? 0) >= 2_000, { within: 20_000 })
      provider.isAway = false
      let completed = 0
      let failed = 0
      await until(
        async () => {
          completed = failed = 0
          for await (const { event } of bus.read({})) {
            if (event.type === 'agent.task.completed') completed++
            if (event.type === 'agent.task.failed') failed++
          }
          return completed + failed === 200
        },
        { within: 40_000 },
      )
      expect({ completed, failed, answered: provider.answered }).toEqual({ completed: 200, failed: 0, answered: 200 })
      expect(provider.refused).toBeLessThan(100)
      expect(await circuitOf(bus)).toBeUndefined()
    }, 90_000)

    it('status and top show a model whose provider is away, until it answers again', async () => {
      const provider = new Provider()
      provider.isAway = true
      const log = await world()
      const { bus } = await log.worker({ use: [writerOf(provider)] })
      await bus.publishAll(Array.from({ length: 5 }, () => asked))
      await until(() => circuitOf(bus))
      const about =
        /gpt unavailable for [\d.]+ m?s, (next probe in [\d.]+ m?s|the next probe is due|a probe is running): 503: Service Unavailable/
      expect((await tidings(log.place, ['status'])).stdout).toMatch(about)
      expect((await tidings(log.place, ['top', '--once'])).stdout).toMatch(about)
      const resting = [{ model: 'gpt', since: expect.any(String), reason: '503: Service Unavailable' }]
      for (const verb of [['status'], ['top', '--once']])
        expect(JSON.parse((await tidings(log.place, [...verb, '--json'])).stdout)).toMatchObject({ resting })
      provider.isAway = false
      await until(async () => (await circuitOf(bus)) === undefined, { within: 20_000 })
      expect(JSON.parse((await tidings(log.place, ['status', '--json'])).stdout)).toMatchObject({ resting: [] })
    })

    it('each retry is on the log, and the answer says how many there were', async () => {
      const provider = new Provider()
      provider.isAway = true
      const worker = await (await world()).worker({ use: [writerOf(provider)] })
      const done = ask(worker, asked)
      await until(() => provider.refused === 2)
      provider.isAway = false
      const events = await eventsOf(worker, (await done).correlationid)
      expect(typesOf(events)).toEqual([
        'question',
        'model.invoke',
        'model.delayed',
        'model.delayed',
        'model.result',
        'agent.task.completed',
      ])
      expect(events.filter(({ type }) => type === 'model.delayed').map(({ data }) => data)).toMatchObject([
        { attempts: 1, error: { code: 'E_MODEL_FAILED', message: '503: Service Unavailable' } },
        { attempts: 2, error: { code: 'E_MODEL_FAILED', message: '503: Service Unavailable' } },
      ])
      expect(events.find(({ type }) => type === 'model.result')!.data).toMatchObject({ retries: { failures: 2 } })
      const shown = render(buildTraceTree(events), 200).map(line => stripVTControlCharacters(line))
      const lines = events.map(event => stripVTControlCharacters(eventLine(event, 200)))
      expect(lines.filter(line => line.includes('model.delayed'))).toEqual([
        expect.stringMatching(/attempt 1 failed, next in .*: E_MODEL_FAILED: 503: Service Unavailable/),
        expect.stringMatching(/attempt 2 failed, next in .*: E_MODEL_FAILED: 503: Service Unavailable/),
      ])
      expect(shown.find(line => line.includes('model gpt'))).toContain('after 2 retries in ')
      expect(shown.filter(line => line.includes('model.delayed'))).toEqual([
        expect.stringMatching(/attempt 1 failed, next in .*: E_MODEL_FAILED: 503: Service Unavailable/),
        expect.stringMatching(/attempt 2 failed, next in .*: E_MODEL_FAILED: 503: Service Unavailable/),
      ])
    })

    it('a call fails by name as soon as no attempt is left before its deadline', async () => {
      const provider = new Provider()
      provider.isAway = true
      // Without jitter, so that no attempt ends just before the deadline.
      const retry = { backoff: '3s', jitter: 0 } as const
      const worker = await (await world()).worker({ use: [writerOf(provider, { within: 5_000, retry })] })
      const { error } = dataOf(await ask(worker, asked))
      expect(error).toMatchObject({
        code: 'E_MODEL_UNAVAILABLE',
        message: expect.stringContaining('503: Service Unavailable. Gave up after'),
      })
      expect(error!.message).toContain('deadline')
    })

    it('a call fails by name when retryFor is over', async () => {
      const provider = new Provider()
      provider.isAway = true
      const worker = await (await world()).worker({ use: [writerOf(provider, { retry: { retryFor: '500ms' } })] })
      expect(dataOf(await ask(worker, asked)).error).toMatchObject({
        code: 'E_MODEL_UNAVAILABLE',
        message: expect.stringContaining('retryFor is 0.5s'),
      })
    })

    it('a call fails at once by what is not retried, and where the provider asks for more time than there is', async () => {
      const log = await world()
      for (const [retry, headers, code] of [
        [{ nonRetryable: [503] }, {}, 'E_MODEL_FAILED'],
        [{}, { 'retry-after': '3600' }, 'E_MODEL_UNAVAILABLE'],
      ] as const) {
        const provider = new Provider(headers)
        provider.isAway = true
        const worker = await log.worker({ use: [writerOf(provider, { retry })] })
        expect(dataOf(await ask(worker, asked)).error).toMatchObject({ code })
        expect(provider.refused).toBe(1)
        await log.stop()
      }
    })
  })

  async function circuitOf(bus: RunningApp['bus']): Promise<{ intervalMs: number } | undefined> {
    const document = await bus.driver.getDocument('circuit/gpt')
    return document && (JSON.parse(document.value) as { open?: { intervalMs: number } }).open
  }
})

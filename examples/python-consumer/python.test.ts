import { setTimeout } from 'node:timers/promises'
import { connect } from '@nats-io/transport-node'
import { expect, it, onTestFinished } from 'vitest'
import type { Delivery } from '../../src/bus/driver.ts'
import { partitionOf, shardOf } from '../../src/bus/ids.ts'
import { z } from 'zod'
import { app, start, tool } from '../../src/index.ts'
import { createEvent } from '../../src/event.ts'
import { until } from '../../src/testing/wait.ts'
import { describeNats, natsUrl } from '../../test/lib/nats.ts'
import { eventsOf } from '../../test/lib/world.ts'
import { fresh, agents, asked, hook, type Held, forgetful, claimOf, find, consumer, logOf } from './support.ts'
import { describePython, pythonWorker } from './python.ts'

await describePython('a Python worker', () =>
  describeNats('on NATS', () => {
    it('answers, and tells what was wrong with a call', async () => {
      const bus = fresh()
      const running = await agents(bus)
      await pythonWorker(bus)
      const fine = await asked(running, 'clerk', { csv: 'n\n1\n2.5\n', column: 'n' })
      expect(fine).toMatchObject({ type: 'agent.task.completed', data: { output: { rows: 2, sum: 3.5 } } })
      expect(await asked(running, 'clerk', { csv: 'n\n1\n' })).toMatchObject({
        data: { error: { code: 'E_TOOL_INPUT' } },
      })
      expect(await asked(running, 'clerk', { csv: 'n\none\n', column: 'n' })).toMatchObject({
        type: 'agent.task.failed',
        data: { error: { code: 'E_TOOL_THREW', message: expect.stringContaining('ValueError') } },
      })
      const answer = (await eventsOf(running, fine.correlationid)).find(({ type }) => type === 'tool.result')!
      const request = (await eventsOf(running, fine.correlationid)).find(({ type }) => type === 'tool.invoke')!
      expect(answer).toEqual({
        specversion: '1.0',
        id: `${request.id}:result`,
        source: '/tools/table.sum',
        type: 'tool.result',
        time: expect.stringMatching(/^\d{4}-.*Z$/),
        tenant: request.tenant,
        correlationid: request.correlationid,
        causationid: request.id,
        hops: request.hops,
        target: 'clerk',
        call: request.id,
        data: { output: { rows: 2, sum: 3.5 }, ranMs: expect.any(Number) },
      })
    })

    it('serves calls and reacts to events of every partition', async () => {
      const bus = fresh()
      const running = await agents(`${bus}?partitions=3`)
      await pythonWorker(bus, { SLOTS: '2' })
      const sums = Array.from({ length: 12 }, (_, n) => asked(running, 'clerk', { csv: `n\n${n}\n`, column: 'n' }))
      const ends = await Promise.all(sums)
      expect(ends.map(({ data }) => data)).toMatchObject(ends.map((_, n) => ({ output: { rows: 1, sum: n } })))
      const used = new Set(ends.map(({ correlationid }) => partitionOf(shardOf(correlationid, 8), 3)))
      expect(used.size).toBeGreaterThan(1)
      const placed = await Promise.all(
        Array.from({ length: 6 }, (_, n) => running.bus.publish({ type: 'order.placed', data: { total: n } })),
      )
      for (const { correlationid } of placed)
        await until(() => find(running, correlationid, 'order.audited'), { within: 10_000 })
    })

    it('does not join a group with a limit on a log with several partitions', async () => {
      const bus = fresh()
      const input = z.object({ csv: z.string(), column: z.string() })
      const limited = tool('table.sum', { description: 'Adds up.', input, limit: 2, run: () => 'from TypeScript' })
      const typescript = await start(app({ name: 'twin', use: [limited] }), {
        bus: `${bus}?partitions=3`,
        only: ['tools'],
      })
      onTestFinished(() => typescript.stop())
      const worker = await pythonWorker(bus, { SERVE: 'table.sum' })
      await worker.ended
    })

    it('reads and writes data in blobs', async () => {
      const bus = fresh()
      const { held, url } = await hook()
      const running = await agents(bus)
      await pythonWorker(bus)
      const rows = 200_000
      const summed = await asked(running, 'clerk', { csv: `n\n${'1.25\n'.repeat(rows)}`, column: 'n' })
      expect(summed.data).toMatchObject({ output: { rows, sum: rows * 1.25 } })
      const events = await eventsOf(running, summed.correlationid)
      expect(events.find(({ type }) => type === 'tool.invoke')!.dataref).toMatch(/^sha256-/)

      const task = asked(running, 'caller', { name: 'hook.post', url, body: null })
      const text = 'ä'.repeat(400_000)
      await until(() => held.length === 1)
      held[0]!.answer.end(text)
      const posted = await task
      expect((posted.data ?? (await running.bus.resolve(posted)).data) as object).toMatchObject({ output: { text } })
      const answer = (await eventsOf(running, posted.correlationid)).find(({ type }) => type === 'tool.result')!
      expect(answer).toMatchObject({ dataref: expect.stringMatching(/^sha256-/), data: null })
    })

    it('shares calls with another one, which takes over when it is killed in the middle', async () => {
      const bus = fresh()
      const { held, url } = await hook()
      const running = await agents(bus)
      const workers = [await pythonWorker(bus, { SLOTS: '1' }), await pythonWorker(bus, { SLOTS: '1' })]
      const tasks = ['a', 'b'].map(body => asked(running, 'caller', { name: 'hook.post', url, body }))
      await until(() => held.length === 2)
      const [first, second] = held as [Held, Held]
      expect(new Set([first.pid, second.pid])).toEqual(new Set(workers.map(({ pid }) => pid)))

      workers.find(({ pid }) => pid === first.pid)!.signal('SIGKILL')
      const third = await pythonWorker(bus, { SLOTS: '1' })
      // The server hands it out again when `ack_wait` is over. The other call, held for longer, stays where it is.
      await until(() => held.length === 3, { within: 20_000 })
      expect(held[2]).toMatchObject({ key: first.key, body: first.body, pid: third.pid })
      held[2]!.answer.end('third')
      second.answer.end('second')
      const ends = await Promise.all(tasks)
      const texts = ends.map(({ data }) => (data as { output: { text: string } }).output.text)
      expect(texts.toSorted()).toEqual(['second', 'third'])
      expect(held).toHaveLength(3)
    })

    // The server has forgotten the ids by then; what was claimed stays claimed.
    it('starts nothing that a worker in TypeScript has claimed, however long ago', async () => {
      const bus = fresh()
      const { held, url } = await hook()
      const running = await agents(bus)
      await forgetful(bus)
      const task = asked(running, 'caller', { name: 'hook.once', url, body: 'claimed' })
      const isClaimed = await claimOf(running, 'claimed')
      expect(await running.bus.claim({ event: isClaimed } as Delivery, isClaimed)).toBe(true)
      // Whose worker died before the document was stored did not start it.
      const other = asked(running, 'caller', { name: 'hook.once', url, body: 'announced' })
      const isAnnounced = await claimOf(running, 'announced')
      await running.bus.publish(isAnnounced)
      await setTimeout(1_500)
      await pythonWorker(bus)
      expect(await task).toMatchObject({ data: { error: { code: 'E_TOOL_OUTCOME_UNKNOWN' } } })
      await until(() => held.length === 1)
      expect(await running.bus.claim({ event: isAnnounced } as Delivery, isAnnounced)).toBe(false)
      held[0]!.answer.end('done')
      expect(held[0]!.body).toBe('announced')
      expect((await other).data).toMatchObject({ output: { text: 'done' } })
    })

    it('claims, so that neither Python nor TypeScript starts it again', async () => {
      const input = z.object({ url: z.string() })
      const started: string[] = []
      const run = () => started.push('TypeScript')
      const twin = app({
        name: 'twin',
        use: [tool('hook.once', { description: 'Posts.', input, atMostOnce: true, run })],
      })
      const successors = {
        Python: (bus: string) => pythonWorker(bus),
        TypeScript: async (bus: string) => {
          const running = await start(twin, { bus, only: ['tools'] })
          onTestFinished(() => running.stop())
        },
      }
      await Promise.all(
        Object.values(successors).map(async succeed => {
          const bus = fresh()
          const { held, url } = await hook()
          const running = await agents(bus)
          await forgetful(bus)
          const worker = await pythonWorker(bus, { SLOTS: '1' })
          const task = asked(running, 'caller', { name: 'hook.once', url, body: 1 })
          await until(() => held.length === 1)
          worker.signal('SIGKILL')
          await succeed(bus)
          expect(await task).toMatchObject({ data: { error: { code: 'E_TOOL_OUTCOME_UNKNOWN' } } })
          expect(held).toHaveLength(1)
        }),
      )
      expect(started).toEqual([])
    })

    it('skips messages that are not events, and reports each once', async () => {
      const bus = fresh()
      const running = await agents(bus)
      const request = createEvent({ type: 'tool.invoke', target: 'table.sum', data: { input: {} } })
      const bodies = [
        '',
        'not json',
        'null',
        '{}',
        '['.repeat(100_000),
        new Uint8Array([0xff]),
        ...[
          { id: 1 },
          { id: '\ud800' },
          { hops: '0' },
          { correlationid: 'x' },
          { deadline: 'soon' },
          { replyto: null },
        ].map(wrong => JSON.stringify({ ...request, ...wrong })),
      ]
      const nc = await connect({ servers: natsUrl() })
      onTestFinished(() => nc.close())
      for (const body of bodies)
        for (const place of ['table%2Esum.tool.invoke', '-.order.placed'])
          nc.publish(`${logOf(bus)}.e.0.${place}`, body)
      await nc.flush()
      const worker = await pythonWorker(bus, { SLOTS: '1' })
      expect((await asked(running, 'clerk', { csv: 'n\n1\n', column: 'n' })).data).toMatchObject({ output: { sum: 1 } })
      const placed = await running.bus.publish({ type: 'order.placed', data: { total: 1 } })
      await until(() => find(running, placed.correlationid, 'order.audited'), { within: 10_000 })
      for (const group of ['tool/table.sum', 'python/audit'])
        await until(async () => {
          const { num_ack_pending, num_redelivered, num_pending } = await consumer(bus, group)
          return num_ack_pending + num_redelivered + num_pending === 0
        })
      expect(worker.running()).toBe(true)
    })

    it('drops requests that no caller is waiting for', async () => {
      const bus = fresh()
      const running = await agents(bus)
      const expired = await asked(running, 'hasty', { csv: 'n\n1\n', column: 'n' })
      expect(expired.data).toMatchObject({ error: { code: 'E_CALL_EXPIRED' } })
      // Of no task: only its ids say that it was withdrawn.
      const foreign = await running.bus.publish({ type: 'tool.invoke', target: 'table.sum', data: null })
      const { id: subject, correlationid } = foreign
      const id = `${subject}:cancel`
      await running.bus.publish({ type: 'call.cancelled', target: 'table.sum', id, subject, correlationid, data: null })
      // Older than a second, so that the log is asked.
      await setTimeout(1_100)
      await pythonWorker(bus)
      await until(async () => (await consumer(bus, 'tool/table.sum')).ack_floor.consumer_seq >= 2, { within: 10_000 })
      for (const correlation of [expired.correlationid, correlationid])
        expect((await eventsOf(running, correlation)).filter(({ type }) => type.startsWith('tool.'))).toHaveLength(1)
    })

    it('drops what a task asked that has ended, long after the server has forgotten the ids', async () => {
      const bus = fresh()
      const running = await agents(bus)
      await forgetful(bus)
      const { correlationid } = await running.bus.publish({
        type: 'agent.invoke',
        target: 'clerk',
        data: { input: { csv: 'n\n1\n', column: 'n' } },
      })
      const request = await until(() => find(running, correlationid, 'tool.invoke'))
      await running.bus.publish({
        type: 'agent.cancel',
        target: 'clerk',
        subject: request.id.split(':')[0]!,
        correlationid,
        data: { reason: 'changed my mind' },
      })
      await until(() => find(running, correlationid, 'call.cancelled'))
      // No task waits for this one: only its deadline or its answer could end it.
      const sent = await running.bus.publish({
        type: 'tool.invoke',
        target: 'table.sum',
        data: { input: { csv: 'n\n1\n', column: 'n' } },
      })
      await setTimeout(1_500)
      await pythonWorker(bus)
      await until(async () => (await consumer(bus, 'tool/table.sum')).ack_floor.consumer_seq >= 2, { within: 10_000 })
      const answers = async (correlation: string) =>
        (await eventsOf(running, correlation)).filter(({ type }) => /^tool\.(result|failed)$/.test(type))
      expect(await answers(correlationid)).toEqual([])
      expect(await answers(sent.correlationid)).toMatchObject([{ data: { output: { sum: 1 } } }])
    })

    it('takes nothing while its tool is paused', async () => {
      const bus = fresh()
      const { held, url } = await hook()
      const running = await agents(bus)
      await running.pauses.set('tool', 'table.sum', true)
      await pythonWorker(bus)
      const task = asked(running, 'clerk', { csv: 'n\n1\n', column: 'n' })
      const other = asked(running, 'caller', { name: 'hook.post', url, body: 1 })
      await until(() => held.length === 1)
      held[0]!.answer.end('')
      await other
      await until(async () => (await consumer(bus, 'tool/table.sum')).num_pending === 1)
      await running.pauses.set('tool', 'table.sum', false)
      expect((await task).data).toMatchObject({ output: { sum: 1 } })
    })

    it('shares a group with workers in TypeScript, whichever created it', async () => {
      const input = z.object({ csv: z.string(), column: z.string() })
      const twin = app({
        name: 'twin',
        use: [tool('table.sum', { description: 'Adds up.', input, run: () => 'from TypeScript' })],
      })
      const made: unknown[] = []
      for (const order of ['TypeScript', 'Python'] as const) {
        const bus = fresh()
        const typescript = async () => (await start(twin, { bus, only: ['tools'] })).stop()
        const python = async () => {
          const worker = await pythonWorker(bus)
          await until(async () => (await consumer(bus, 'tool/table.sum')).num_waiting > 0, { within: 10_000 })
          return worker
        }
        if (order === 'TypeScript') {
          await typescript()
          const before = await consumer(bus, 'tool/table.sum')
          await python()
          expect((await consumer(bus, 'tool/table.sum')).created).toBe(before.created)
          const running = await agents(bus)
          expect((await asked(running, 'clerk', { csv: 'n\n1\n', column: 'n' })).data).toMatchObject({
            output: { sum: 1 },
          })
        } else {
          // The streams are there before any foreign worker.
          await agents(bus)
          const worker = await python()
          worker.signal('SIGTERM')
          await worker.ended
          const before = await consumer(bus, 'tool/table.sum')
          const running = await start(twin, { bus, only: ['tools', 'agents'] })
          onTestFinished(() => running.stop())
          expect((await consumer(bus, 'tool/table.sum')).created).toBe(before.created)
          const groups = await running.bus.driver.listGroups()
          expect(groups.map(({ group }) => group)).toContain('python/audit')
          const again = await agents(bus)
          expect((await asked(again, 'clerk', { csv: 'n', column: 'n' })).data).toMatchObject({
            output: 'from TypeScript',
          })
        }
        const { config } = await consumer(bus, 'tool/table.sum')
        made.push(JSON.parse(JSON.stringify(config).replaceAll(logOf(bus), 'LOG')))
      }
      expect(made[0]).toEqual(made[1])
    })

    it('reacts to an event, once', async () => {
      const bus = fresh()
      const running = await agents(bus)
      const placed = await running.bus.publish({ type: 'order.placed', data: { total: 1200 } })
      await pythonWorker(bus)
      const audited = await until(() => find(running, placed.correlationid, 'order.audited'), { within: 10_000 })
      expect(audited).toMatchObject({
        source: '/python/audit',
        causationid: placed.id,
        correlationid: placed.correlationid,
        hops: 1,
        data: { order: placed.id, large: true },
      })
    })
  }),
)

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { parseId } from '../src/bus/ids.ts'
import { setLogger } from '../src/bus/telemetry/log.ts'
import type { CloudEvent } from '../src/event.ts'
import { model } from '../src/models/model.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import type { Turn } from '../src/tasks/program.ts'
import { collect, until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { tidings } from './lib/cli.ts'
import { plainModel, readIn } from './lib/plain-model.ts'
import { ask, ended, eventsOf, onEveryBus } from './lib/world.ts'

/* Versions of a program, beside each other and one after the other. */

const output = (event: CloudEvent) => (event.data as { output: unknown }).output
const attention = ({ bus }: RunningApp) => collect(bus.driver.listDeferred())

/** A tool whose runs end when the test says so. */
function held(name: string) {
  const runs: ((output: unknown) => void)[] = []
  const definition = tool(name, {
    description: 'Waits.',
    input: z.any(),
    run: () => new Promise(resolve => runs.push(resolve)),
  })
  return { tool: definition, runs, started: (n: number) => until(() => runs.length >= n, { within: 10_000 }) }
}

onEveryBus(world => {
  describe('a rolling deploy', () => {
    const gate = Promise.withResolvers<void>()
    let behindGate = 0
    const slow = tool('slow', {
      description: 'Takes its time.',
      input: z.object({ step: z.number(), held: z.boolean() }),
      async run({ step, held }) {
        if (held) behindGate++
        await (held ? gate.promise : setTimeout(10 * step))
      },
    })
    const { model: languageModel } = plainModel(prompt =>
      prompt.some(({ role }) => role === 'tool')
        ? 'done'
        : [{ id: 'c1', tool: 'slow', input: { step: 2, held: readIn(prompt)[0] === 'held' } }],
    )
    const plain = model(languageModel, { name: 'plain' })
    const order = 'order.placed'
    interface Order {
      held: boolean
    }

    /** Three kinds of agent; two of them take each order, and the third is asked by one of those. */
    function agents(version: number) {
      const helper = agent('helper', { version, model: plain, instructions: `Help, ${version}.`, tools: [slow] })
      const desk = agent('desk', {
        on: order,
        version,
        async run(ctx, { held }: Order) {
          for (const step of [1, 2, 3]) await ctx.call(slow, { step, held: false })
          await ctx.call(helper, held ? 'held' : 'free')
          await ctx.sleep(20)
          return version
        },
      })
      const tally = agent('tally', {
        on: order,
        version,
        init: () => ({ answers: 0 }),
        evolve: (state, { type }) => ({ answers: state.answers + (type === 'tool.result' ? 1 : 0) }),
        decide({ answers }, _inputs, ctx) {
          if (answers === 4) return ctx.complete(version)
          const { held } = ctx.start.data as Order
          ctx.call({ type: 'tool.invoke', target: 'slow', data: { input: { step: answers, held } } })
        },
      })
      return [desk, helper, tally]
    }

    /** Orders that come in all the time. The first one does not get far before the gate is open. */
    function feed({ bus }: RunningApp) {
      const orders: string[] = []
      const stopped = new AbortController()
      const feeding = (async () => {
        while (!stopped.signal.aborted) {
          orders.push((await bus.publish({ type: order, data: { held: orders.length === 0 } })).correlationid)
          await setTimeout(15)
        }
      })()
      return {
        async stop() {
          stopped.abort()
          await feeding
          return orders
        },
      }
    }

    async function turnsOf({ bus }: RunningApp) {
      const journals = new Map<string, Turn[]>()
      for await (const { event } of bus.read({ filter: [{ types: ['task.turn'] }] })) {
        const turn = (await bus.resolve(event)).data as Turn
        const task = parseId(event.id)!.task
        journals.set(task, [...(journals.get(task) ?? []), turn])
      }
      return [...journals.values()]
    }

    it('forward, back and forward loses and parks no task, and no older version continues a newer one', {
      timeout: 60_000,
    }, async () => {
      const log = await world()
      const tools = await log.worker({ name: 'tools', use: [slow, plain] })
      const start = (version: number) => log.worker({ use: agents(version) }, { only: ['agents'] })
      /** Until this version ends tasks that begin now. */
      const works = async (version: number) => {
        const from = await tools.bus.driver.head()
        const ends = { after: from, filter: [{ types: ['agent.task.completed'] }] }
        const isThere = async () =>
          (await collect(tools.bus.read(ends))).filter(({ event }) => output(event) === version).length >= 3
        await until(isThere, { within: 20_000, what: `version ${version} to work` })
      }
      /** One worker after the other is replaced. */
      const replace = async (old: readonly RunningApp[], version: number) => {
        const fresh: RunningApp[] = []
        for (const worker of old) {
          fresh.push(await start(version))
          await works(version)
          await worker.stop()
        }
        return fresh
      }

      const ones = [await start(1), await start(1)]
      const orders = feed(tools)
      await works(1)
      await until(() => behindGate === 2)
      const twos = await replace(ones, 2)
      gate.resolve()
      const back = await replace(twos, 1)
      const handedBack = async () =>
        (await attention(tools)).some(({ reason }) => reason.message.includes('version 2 of'))
      await until(handedBack, { what: 'a task of the newer version that comes to an older worker' })
      await replace(back, 2)
      const placed = await orders.stop()

      const tasks = 3 * placed.length
      const all = async () => {
        const ends = (await collect(tools.bus.read({ filter: [{ types: ['agent.task.completed'] }] }))).map(
          ({ event }) => event.id,
        )
        return new Set(ends).size === tasks
      }
      await until(all, { within: 30_000 }).catch(async error => {
        throw new Error(`${error.message}: ${JSON.stringify(await attention(tools))}`)
      })
      const journals = await turnsOf(tools)
      expect(journals).toHaveLength(tasks)
      const versions = journals.map(turns => turns.map(({ programVersion }) => programVersion).join(''))
      expect(versions.filter(each => !/^1*2*$/.test(each))).toEqual([])
      const crossed = journals.filter((_, i) => /12/.test(versions[i]!)).map(([first]) => first!.program)
      expect(new Set(crossed)).toEqual(new Set(['desk', 'helper', 'tally']))
      await until(async () => (await attention(tools)).length === 0, { within: 10_000 })
    })
  })

  describe('a task whose journal no longer fits the code', () => {
    /** Asks two tools, of which the second does not answer before the test says so. */
    const desk = (version: number, first: string, hold: string) =>
      agent('desk', {
        on: 'order.placed',
        version,
        async run(ctx) {
          await ctx.call({ kind: 'tool', name: first }, 1)
          return `${String(await ctx.call({ kind: 'tool', name: hold }, 2))} by ${version}`
        },
      })
    const quick = (name: string) => tool(name, { description: 'Answers.', input: z.any(), run: () => name })

    /** A task that waits in version 1, and whose answer comes when the app runs at `use`. */
    async function waiting() {
      const log = await world()
      const hold = held('hold')
      const tools = await log.worker({ name: 'tools', use: [quick('price'), quick('stock'), hold.tool] })
      const old = await log.worker({ use: [desk(1, 'price', 'hold')] })
      const { correlationid, id } = await old.bus.publish({ type: 'order.placed', data: null })
      await hold.started(1)
      await old.stop()
      return {
        log,
        tools,
        answer: () => hold.runs[0]!('held'),
        end: () => ended(tools, correlationid, id, 15_000),
        task: async () =>
          (await eventsOf(tools, correlationid)).find(({ type }) => type === 'task.turn')!.id.split(':')[0],
      }
    }

    it('is parked with both solutions in the text, and continues in the old version beside the new', async () => {
      const { log, tools, answer, end, task } = await waiting()
      const newer = await log.worker({ use: [desk(2, 'stock', 'hold')] })
      answer()
      const parked = await until(async () => (await attention(tools))[0], { within: 10_000 })
      expect(parked).toMatchObject({ state: 'parked', attempts: 1 })
      expect(parked.reason).toMatchObject({
        code: 'E_PROGRAM_MISMATCH',
        message: expect.stringMatching(/^turn 1 of desk now makes the call stock#0 \(tool.invoke\)/),
        data: { fork: `${await task()}@1` },
      })
      const listed = await tidings(log.place, ['attention'])
      expect(listed.stdout).toContain('tidings attention retry')
      await newer.stop()
      await log.worker({ use: [desk(2, 'stock', 'hold'), desk(1, 'price', 'hold')] })
      expect((await tidings(log.place, ['attention', 'retry', parked.id])).code).toBe(0)
      expect(output(await end())).toBe('held by 1')
      expect(await attention(tools)).toEqual([])
    })

    it('and which only a timer would wake, is reported in a log line, and continues in the old version', async () => {
      const place = await world()
      const sleeper = (version: number, call: string) =>
        agent('sleeper', {
          on: 'order.placed',
          version,
          async run(ctx) {
            await ctx.call({ kind: 'tool', name: call }, 1)
            await ctx.sleep(150)
            return version
          },
        })
      const old = await place.worker({ use: [sleeper(1, 'price'), quick('price')] })
      const { correlationid, id } = await old.bus.publish({ type: 'order.placed', data: null })
      await until(async () => (await eventsOf(old, correlationid)).some(({ type }) => type === 'timer.set'))
      await old.stop()
      const newer = await place.worker({ use: [sleeper(2, 'stock')] })
      const warnings: string[] = []
      setLogger({ warn: (_fields, text) => warnings.push(text) })
      onTestFinished(() => setLogger({}))
      await until(() =>
        warnings.some(text => /^the task could not be woken: turn 1 of sleeper .*tidings fork --from/.test(text)),
      )
      await newer.stop()
      const both = await place.worker({ use: [sleeper(2, 'stock'), sleeper(1, 'price')] })
      expect(output(await ended(both, correlationid, id))).toBe(1)
    })

    it('is not a task whose code changed only in comments and version number', async () => {
      const { log, tools, answer, end } = await waiting()
      const commented = agent('desk', {
        on: 'order.placed',
        version: 7,
        async run(ctx) {
          // First the price.
          const price = await ctx.call({ kind: 'tool', name: 'price' }, 1)
          const held = await ctx.call({ kind: 'tool', name: 'hold' }, 2) // Then the rest.
          return [price, held]
        },
      })
      await log.worker({ use: [commented] })
      answer()
      expect(output(await end())).toEqual(['price', 'held'])
      expect(await attention(tools)).toEqual([])
    })

    it('is found before the deploy by tidings replay --waiting', { timeout: 60_000 }, async () => {
      const { log, answer } = await waiting()
      onTestFinished(answer)
      const write = async (name: string, run: string) => {
        const path = join(log.place.home, `${name}.ts`)
        const library = JSON.stringify(join(import.meta.dirname, '../src/index.ts'))
        const code = `import { agent, app } from ${library}
export default app({ name: 'test', use: [agent('desk', { on: 'order.placed', version: 2, run: async ctx => { ${run} } })] })`
        await writeFile(path, code)
        return path
      }
      const call = (name: string) => `await ctx.call({ kind: 'tool', name: '${name}' }, ${name === 'hold' ? 2 : 1})`
      const fits = await write('fits', `${call('price')}; return [${call('hold')}, 'and more']`)
      const misfits = await write('misfits', `${call('stock')}; return ${call('hold')}`)
      const gate = (app: string) => tidings(log.place, ['replay', '--waiting', '--app', app, '--jobs', '1'])
      const passed = await gate(fits)
      expect(passed).toMatchObject({ code: 0, stderr: '' })
      expect(passed.stdout).toContain('1 task')
      const refused = await gate(misfits)
      expect(refused).toMatchObject({ code: 1, stderr: '' })
      expect(refused.stdout).toMatch(/desk: tool\.invoke/)
    })
  })

  describe('a worker with the older version', () => {
    /** A worker of version 1 that meets a task of version 2, and how often it has read a journal. */
    async function meeting(run: 'call' | 'sleep') {
      const log = await world()
      const hold = held('hold')
      const tools = await log.worker({ name: 'tools', use: [hold.tool] })
      const versioned = (version: number) =>
        agent('desk', {
          on: 'order.placed',
          version,
          async run(ctx, wait: number) {
            if (run === 'sleep') await ctx.sleep(wait)
            else await ctx.call(hold.tool, null)
            return version
          },
        })
      const newer = await log.worker({ use: [versioned(2)] })
      const { correlationid, id } = await newer.bus.publish({ type: 'order.placed', data: 150 })
      const began = async () => (await eventsOf(tools, correlationid)).some(({ type }) => type === 'task.turn')
      await until(began)
      if (run === 'call') await hold.started(1)
      await newer.stop()
      const older = await log.worker({ use: [versioned(1)] })
      const journal = vi.spyOn(older.bus.driver, 'journal')
      onTestFinished(() => journal.mockRestore())
      hold.runs[0]?.('held')
      return {
        tools,
        older,
        reads: () => journal.mock.calls.length,
        async replaced() {
          await older.stop()
          await log.worker({ use: [versioned(2)] })
          return output(await ended(tools, correlationid, id, 15_000))
        },
      }
    }

    it('returns an answer for a task of the newer version, at growing intervals', async () => {
      const { tools, reads, replaced } = await meeting('call')
      const delayed = await until(async () => (await attention(tools)).find(({ attempts }) => attempts >= 3), {
        within: 10_000,
      })
      expect(delayed).toMatchObject({
        state: 'delayed',
        reason: { code: 'E_PROGRAM_VERSION', message: expect.stringContaining('version 2') },
      })
      expect(reads()).toBeLessThan(10)
      expect(await replaced()).toBe(2)
    })

    it('leaves the timer of such a task to the newer version, and checks at growing intervals', async () => {
      const { tools, older, reads, replaced } = await meeting('sleep')
      await until(() => reads() > 0, { within: 10_000 })
      // Meanwhile it does its own work, and that takes long enough for a loop to be seen.
      expect(output(await ask(older, { type: 'order.placed', data: 400 }))).toBe(1)
      expect(reads()).toBeLessThan(10)
      expect(await attention(tools)).toEqual([])
      expect(await replaced()).toBe(2)
    })
  })
})

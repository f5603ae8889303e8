import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { agent, type Agent } from '../src/agents/agent.ts'
import { correlationOf, parseId } from '../src/bus/ids.ts'
import type { CloudEvent } from '../src/event.ts'
import { model } from '../src/models/model.ts'
import { parseEffects, resolveEffects, type ResolvedEffects } from '../src/replay/effects.ts'
import { planFork, publishFork, type ForkFrom } from '../src/replay/fork.ts'
import { Replayer } from '../src/replay/replayer.ts'
import { sourceFromBus } from '../src/replay/source.ts'
import type { RunningApp } from '../src/runtime/start.ts'
import { Programs } from '../src/tasks/programs.ts'
import { collect, until } from '../src/testing/wait.ts'
import { tool } from '../src/tools/tool.ts'
import { plainModel, readIn } from './lib/plain-model.ts'
import { ended, eventsOf, onAnyBus } from './lib/world.ts'

const any = z.any()
const ruled = (text: string): ResolvedEffects => resolveEffects([], { effects: parseEffects(text), stubs: new Map() })
const output = (event: CloudEvent) => (event.data as { output: unknown }).output
const taskOf = (event: CloudEvent) => parseId(event.id)!.task

async function fork({ bus }: RunningApp, from: ForkFrom, effects = '*=recorded') {
  const plan = await planFork(bus, from)
  const forked = await publishFork(bus, plan, 'fork', ruled(effects))
  return { ...forked, plan }
}

const endOf = (worker: RunningApp, { correlation, task }: { correlation: string; task: string }) =>
  until(async () => (await eventsOf(worker, correlation)).find(event => isEndOf(event, task)), { within: 10_000 })

const isEndOf = ({ id, type }: CloudEvent, task: string) =>
  id.startsWith(task) && /^agent\.task\.(completed|failed|cancelled)$/.test(type)

async function turnsOf({ bus }: RunningApp, task: string): Promise<number> {
  return (await collect(bus.read({ task }))).filter(({ event }) => event.type === 'task.turn').length
}

/** The recorded turns of these tasks against the same programs. */
async function replayed({ bus }: RunningApp, agents: readonly Agent<never, unknown>[], correlation: string) {
  const replay = new Replayer(new Programs(agents.map(({ definition }) => definition)))
  for await (const { position, event } of sourceFromBus(bus, { correlation }).events())
    await replay.add(position, event)
  return replay.finish()
}

/** A tool whose runs end when the test says so. */
function held(name: string) {
  const runs: { input: unknown; end(output: unknown): void }[] = []
  const definition = tool(name, {
    description: '',
    input: any,
    run: input => new Promise(end => runs.push({ input, end })),
  })
  return { tool: definition, runs }
}

/** A researcher that searches twice, for two things at once; and a desk of straight-line code that asks it. */
function newsroom() {
  const runs: unknown[] = []
  const { model: languageModel, asked } = plainModel(prompt => {
    const [question, ...found] = readIn(prompt)
    if (found.length >= 4) return `${question} ${found.join(' ')}`
    return ['a', 'b'].map(q => ({ id: `${q}${found.length}`, tool: 'web_search', input: { q: `${q}${found.length}` } }))
  })
  const search = tool('web.search', {
    description: 'Searches.',
    input: z.object({ q: z.string() }),
    run: ({ q }) => {
      runs.push(q)
      return `<${q}>`
    },
  })
  const add = tool('add', { description: '', input: z.array(z.number()), run: ([a = 0, b = 0]) => a + b })
  const researcher = agent('researcher', {
    on: 'research.wanted',
    model: model(languageModel, { name: 'plain' }),
    instructions: 'Research.',
    tools: [search],
  })
  const desk = agent('desk', {
    on: 'question.asked',
    async run(ctx, question: string) {
      const [sum, text] = await ctx.all<unknown>([
        async branch => branch.call(add, [await branch.call(add, [1, 2]), 3]),
        branch => branch.call(researcher, question),
      ])
      ctx.emit({ type: 'draft.ready', data: { sum } })
      const first = await ctx.race<unknown>([
        async branch => {
          await branch.sleep('1h')
          return 0
        },
        branch => branch.call(add, [Number(sum), 1]),
      ])
      await ctx.sleep(20)
      return { sum, text, first }
    },
  })
  return { runs, asked, researcher, desk, use: [researcher, desk, search, add] }
}

onAnyBus(world => {
  async function recorded(type: string) {
    const room = newsroom()
    const log = await world()
    const worker = await log.worker({ use: room.use })
    const { id, correlationid } = await worker.bus.publish({ type, data: 'Why?', user: 'ann' })
    const end = await ended(worker, correlationid, id)
    const task = taskOf(end)
    room.runs.length = 0
    room.asked.length = 0
    return { ...room, log, worker, id, end, task, turns: await turnsOf(worker, task) }
  }

  describe('a fork', () => {
    it.each(['research.wanted', 'question.asked'])(
      'of a task of %s has the same result from each of its turns',
      async type => {
        const { worker, end, task, turns, runs, asked, researcher, desk } = await recorded(type)
        expect(turns).toBeGreaterThanOrEqual(6)
        const versions = Array.from({ length: turns }, (_, i) => i + 1)
        const forks = await Promise.all(versions.map(version => fork(worker, { task, version })))
        for (const [i, forked] of forks.entries()) {
          const ending = await endOf(worker, forked)
          expect({ from: i + 1, data: ending.data }).toEqual({ from: i + 1, data: end.data })
          expect(taskOf(ending)).toBe(forked.task)
          const events = await eventsOf(worker, forked.correlation)
          expect(events.map(({ replay, user }) => [replay, user])).toEqual(events.map(() => [forked.replay, 'ann']))
          const { divergences, skipped, turns: seen } = await replayed(worker, [researcher, desk], forked.correlation)
          expect({ divergences, skipped }).toEqual({ divergences: [], skipped: [] })
          expect(seen).toBeGreaterThan(0)
        }
        expect(runs).toEqual([])
        expect(asked).toEqual([])
      },
    )

    it('of a fork has the same result', async () => {
      const { worker, end, task, runs } = await recorded('question.asked')
      const first = await fork(worker, { task, version: 3 })
      expect((await endOf(worker, first)).data).toEqual(end.data)
      const turns = await turnsOf(worker, first.task)
      for (let version = 1; version <= turns; version++) {
        const second = await fork(worker, { task: first.task, version })
        expect((await endOf(worker, second)).data).toEqual(end.data)
      }
      expect(runs).toEqual([])
    })

    it('with an edited answer decides differently, and its model reads the edit', async () => {
      const { worker, task, runs, asked } = await recorded('research.wanted')
      const { version, input } = await firstInput(worker, task, 'tool.result')
      const edits = { [input.id]: { output: 'EDITED' } }
      const forked = await fork(worker, { task, version, edits }, 'tool/web.search=live,model/plain=live')
      const end = await endOf(worker, forked)
      expect(output(end)).toMatch(/^Why\? ("EDITED" "<b0>"|"<a0>" "EDITED") "<a2>" "<b2>"$/)
      expect(new Set(runs)).toEqual(new Set(['a2', 'b2']))
      expect(asked).toHaveLength(2)
      // What is asked otherwise was not recorded.
      const other = await endOf(worker, await fork(worker, { task, version, edits }))
      expect(other.data).toMatchObject({ error: { code: 'E_REPLAY_UNRECORDED' } })
    })

    it('at the first turn accepts another start event', async () => {
      const { worker, task, id } = await recorded('research.wanted')
      const effects = 'tool/web.search=live,model/plain=live'
      const forked = await fork(worker, { task, version: 1, edits: { [id]: 'How?' } }, effects)
      expect(output(await endOf(worker, forked))).toMatch(/^How\? /)
      await expect(fork(worker, { task, version: 1, edits: { other: 1 } })).rejects.toMatchObject({ code: 'E_USAGE' })
    })

    it('denies what is not allowed', async () => {
      const { worker, task, runs, asked } = await recorded('research.wanted')
      const end = await endOf(worker, await fork(worker, { task, version: 1 }, ''))
      expect(end.data).toMatchObject({ error: { code: 'E_REPLAY_DENIED' } })
      expect([...runs, ...asked]).toEqual([])
    })

    it('of a task that has ended begins at one of its turns', async () => {
      const { worker, task, turns } = await recorded('research.wanted')
      for (const version of [0, turns + 1]) {
        const wrong = fork(worker, { task, version })
        await expect(wrong).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
      }
      const nobody = fork(worker, { task: task.replace(/.$/, '~'), version: 1 })
      await expect(nobody).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    })
  })

  describe('a fork of a task that waits', () => {
    async function waiting() {
      const [left, right] = [held('left'), held('right')]
      const both = agent('both', {
        on: 'go',
        run: ctx =>
          ctx.all([
            branch => branch.call(left.tool, 1),
            branch => branch.call(right.tool, 2),
            async branch => {
              await branch.sleep(600)
              return branch.now
            },
          ]),
      })
      const log = await world()
      const use = [both, left.tool, right.tool]
      const worker = await log.worker({ use }, { stopWithin: 100 })
      const { id, correlationid } = await worker.bus.publish({ type: 'go', data: null })
      await until(() => left.runs.length === 1 && right.runs.length === 1)
      const task = taskOf(await firstTurn(worker, correlationid))
      return { left, right, both, log, use, worker, id, correlationid, task }
    }
    const live = 'tool/left=live,tool/right=live'

    it('adopts recorded answers, repeats open calls, and keeps the times of timers', async () => {
      const { left, right, both, worker, id, correlationid, task } = await waiting()
      left.runs[0]!.end('L')
      await until(async () => (await turnsOf(worker, task)) === 2)
      const [early, late] = [
        await fork(worker, { task, version: 1 }, ''),
        await fork(worker, { task, version: 2 }, live),
      ]
      // Before turn 1 nothing was asked: it asks for both, and may not.
      expect(early.plan.fork).toMatchObject({ turns: [], reissue: [] })
      expect((await endOf(worker, early)).data).toMatchObject({ error: { code: 'E_REPLAY_DENIED' } })
      expect(late.plan.adopted).toEqual([])
      expect(late.plan.fork.reissue.map(({ type, target }) => target ?? type)).toEqual(['right', 'timer.set'])
      await until(() => right.runs.length === 2)
      expect(left.runs).toHaveLength(1)
      right.runs[1]!.end('R2')
      right.runs[0]!.end('R')
      const [forked, original] = [await endOf(worker, late), await ended(worker, correlationid, id)]
      const due = (events: CloudEvent[]) => events.filter(({ type }) => type === 'timer.set').map(({ data }) => data)
      const [timer] = due(await eventsOf(worker, correlationid)) as { due: string }[]
      expect(due(await eventsOf(worker, late.correlation))).toEqual([timer])
      for (const [end, answers] of [
        [original, ['L', 'R']],
        [forked, ['L', 'R2']],
      ] as const) {
        const [l, r, woken] = output(end) as [string, string, number]
        expect([l, r]).toEqual(answers)
        expect(woken).toBeGreaterThanOrEqual(Date.parse(timer!.due))
      }
      const { divergences, skipped } = await replayed(worker, [both], late.correlation)
      expect({ divergences, skipped }).toEqual({ divergences: [], skipped: [] })
    })

    it('may begin after its last turn, and may repeat answered calls', async () => {
      const { left, right, worker, task } = await waiting()
      left.runs[0]!.end('L')
      await until(async () => (await turnsOf(worker, task)) === 2)
      const behind = await fork(worker, { task, version: 3 }, live)
      expect(behind.plan.fork.inputs).toEqual([])
      await until(() => right.runs.length === 2)
      right.runs[1]!.end('R2')
      expect(output(await endOf(worker, behind))).toEqual(['L', 'R2', expect.any(Number)])

      right.runs[0]!.end('R')
      const isTaken = async () => (await planFork(worker.bus, { task, version: 2 })).fork.inputs.length === 3
      await until(isTaken)
      const known = await fork(worker, { task, version: 2 }, live)
      expect(known.plan.adopted.map(({ type }) => type)).toContain('tool.result')
      expect(output(await endOf(worker, known))).toEqual(['L', 'R', expect.any(Number)])
      expect(right.runs).toHaveLength(2)

      const anew = await fork(worker, { task, version: 2, reissue: true }, live)
      expect(anew.plan.adopted).toEqual([])
      await until(() => right.runs.length === 3)
      right.runs[2]!.end('R3')
      expect(output(await endOf(worker, anew))).toEqual(['L', 'R3', expect.any(Number)])
    })

    it('continues in another worker, whose effect options do not matter, and can be forked again', async () => {
      const { left, right, log, use, worker, task } = await waiting()
      left.runs[0]!.end('L')
      await until(async () => (await turnsOf(worker, task)) === 2)
      const forked = await fork(worker, { task, version: 2 }, live)
      await until(() => right.runs.length === 2)
      const stopping = log.stop()
      right.runs[0]!.end('R')
      right.runs[1]!.end('R2')
      await stopping
      const second = await log.worker({ use }, { stopWithin: 100 })
      expect(output(await endOf(second, forked))).toEqual(['L', 'R2', expect.any(Number)])
      const turns = await turnsOf(second, forked.task)
      for (let version = 1; version <= turns; version++)
        expect(output(await endOf(second, await fork(second, { task: forked.task, version })))).toEqual([
          'L',
          'R2',
          expect.any(Number),
        ])
    })
  })

  describe('a parked task, whose code no longer fits its journal', () => {
    it('continues from before the mismatch, and the parked one is cancelled with a command', async () => {
      const hold = held('hold')
      const note = tool('note', { description: '', input: any, run: text => `noted ${text}` })
      const version = (second: string) =>
        agent('worker', {
          on: 'go',
          async run(ctx) {
            const first = await ctx.call(note, 'one')
            return [first, await ctx.call(second === 'hold' ? hold.tool : note, second)]
          },
        })
      const log = await world()
      const tools = await log.worker({ use: [note, hold.tool] }, { stopWithin: 100 })
      const old = await log.worker({ use: [version('hold')] }, { only: ['agents'] })
      const { correlationid } = await old.bus.publish({ type: 'go', data: null })
      await until(() => hold.runs.length === 1)
      await old.stop()
      hold.runs[0]!.end('held')
      await until(
        async () => (await eventsOf(tools, correlationid)).filter(({ type }) => type === 'tool.result').length === 2,
      )
      const worker = await log.worker({ use: [version('two')] }, { only: ['agents'] })
      const [parked] = await until(async () => {
        const entries = await collect(worker.bus.driver.listDeferred())
        return entries.length > 0 && entries
      })
      const after = await fork(
        worker,
        { task: taskOf(await firstTurn(worker, correlationid)), version: 3 },
        '*=recorded',
      )
      const again = await until(async () =>
        (await collect(worker.bus.driver.listDeferred())).find(({ event }) => event.id === after.replay),
      )
      expect(again.reason.code).toBe('E_PROGRAM_MISMATCH')
      expect(again.reason.message).toMatch(/^turn 2 of worker .* a fork must begin there or before$/)
      const task = String(parked!.reason.data?.fork).replace(/@2$/, '')
      expect(correlationOf(task)).toBe(correlationid)
      const forked = await fork(worker, { task, version: 2 }, 'tool/note=live')
      expect(output(await endOf(worker, forked))).toEqual(['noted one', 'noted two'])
      await worker.bus.publish({
        type: 'agent.cancel',
        target: 'worker',
        subject: task,
        correlationid,
        data: { reason: 'forked' },
      })
      await until(async () =>
        (await eventsOf(worker, correlationid)).some(({ type }) => type === 'agent.task.cancelled'),
      )
      expect(await worker.bus.driver.discard(parked!.id)).toBe(true)
    })
  })

  describe('a fork of a long task', () => {
    it('begins at a snapshot when the first turns are gone', async () => {
      const add = tool('add', { description: '', input: z.number(), run: n => n + 1 })
      const hold = held('hold')
      const counter = agent('counter', {
        on: 'go',
        init: () => ({ n: 0 }),
        evolve: (state: { n: number }, event) =>
          event.type === 'tool.result' ? { n: Number((event.data as { output: number }).output) } : state,
        decide(state, inputs, ctx) {
          if (state.n > 100) ctx.complete(state.n)
          else ctx.call({ type: 'tool.invoke', target: state.n === 100 ? 'hold' : 'add', data: { input: state.n } })
        },
      })
      const log = await world()
      const worker = await log.worker({ use: [counter, add, hold.tool] }, { stopWithin: 100 })
      const { correlationid } = await worker.bus.publish({ type: 'go', data: null })
      await until(() => hold.runs.length === 1)
      const task = taskOf(await firstTurn(worker, correlationid))
      const { snapshot } = await worker.bus.driver.journal(task)
      expect(snapshot!.version).toBeGreaterThan(60)
      await until(async () => {
        await worker.bus.driver.purge({ maxAgeMs: 0, maxLag: 1 })
        return !(await collect(worker.bus.read({ task }))).some(({ event }) => event.id === `${task}:0000001`)
      })
      const forked = await fork(worker, { task, version: 101 }, 'tool/hold=live')
      expect(forked.plan.fork.turns.length).toBeLessThan(40)
      await until(() => hold.runs.length === 2)
      hold.runs[1]!.end(200)
      expect(output(await endOf(worker, forked))).toBe(200)
      await expect(fork(worker, { task, version: 3 })).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
    })
  })
})

const firstTurn = (worker: RunningApp, correlation: string) =>
  until(async () => (await eventsOf(worker, correlation)).find(({ type }) => type === 'task.turn'))

async function firstInput({ bus }: RunningApp, task: string, type: string) {
  for await (const { event } of bus.read({ task })) {
    if (event.type !== 'task.turn') continue
    const { version, inputs } = event.data as { version: number; inputs: CloudEvent[] }
    const input = inputs.find(each => each.type === type)
    if (input) return { version, input }
  }
  throw new Error(`no turn took a ${type}`)
}

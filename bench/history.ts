import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { app } from '../src/runtime/app.ts'
import { start } from '../src/runtime/start.ts'
import { Programs } from '../src/tasks/programs.ts'
import { TaskLoader } from '../src/tasks/load.ts'
import { model } from '../src/models/model.ts'
import { tool } from '../src/tools/tool.ts'
import { endlessModel } from './lib/noop-model.ts'
import { withHome } from './lib/host.ts'

/*
 * Does the cost of a turn stay constant as the history grows? One model agent, one task of 100,000 events: the time to restore
 * it from the log, and the bytes that a turn adds, at 1,000 events and at the end. `node bench/history.ts [EVENTS]`
 */

const events = Number(process.argv[2] ?? 100_000)
const noop = tool('noop', { description: 'Does nothing.', input: z.any(), run: () => 'x'.repeat(300) })
const talker = agent('talker', {
  on: 'bench.talk',
  model: model(endlessModel('noop'), { name: 'endless' }),
  instructions: 'Go on.',
  tools: [noop],
  maxSteps: Infinity,
  window: 20,
})

await withHome(async home => {
  const running = await start(
    app({ name: 'history', use: [talker, noop], budget: { calls: Infinity, events: Infinity, bytes: Infinity } }),
    {
      home,
      only: ['agents', 'tools', 'models'],
    },
  )
  const { driver } = running.bus
  const { correlationid } = await running.bus.publish({ type: 'bench.talk', data: 'Go' })
  const programs = new Programs([talker.definition])
  const early = await measure(1_000)
  const late = await measure(events)
  console.log(
    `resume p99: ${early.p99.toFixed(2)} ms at 1,000 events, ${late.p99.toFixed(2)} ms at ${events}: ratio ${(late.p99 / early.p99).toFixed(2)}`,
  )
  console.log(
    `bytes per turn: ${Math.round(early.bytes)} at 1,000 events, ${Math.round(late.bytes)} at ${events}: ratio ${(late.bytes / early.bytes).toFixed(2)}`,
  )
  await running.bus.publish({
    type: 'agent.cancel',
    target: 'talker',
    subject: late.task,
    correlationid,
    data: { reason: 'enough' },
  })
  await running.stop()

  /** Over the 500 events around a length of the history. */
  async function measure(length: number) {
    while (Number(await driver.head()) < length) await new Promise(resolve => setTimeout(resolve, 20))
    const times: number[] = []
    let task = ''
    let bytes = 0
    let turns = 0
    for await (const { event } of running.bus.read({ after: String(length - 600), until: String(length) })) {
      bytes += JSON.stringify(event).length
      if (event.type === 'task.turn') turns++
      if (event.type === 'task.turn') task = event.id.split(':')[0]!
    }
    // While the task runs, to sample every distance from the last snapshot.
    for (let i = 0; i < 300; i++) {
      const begin = performance.now()
      await new TaskLoader(running.bus, programs).resume(task)
      times.push(performance.now() - begin)
      await new Promise(resolve => setTimeout(resolve, 5))
    }
    times.sort((a, b) => a - b)
    return { p99: times[Math.floor(times.length * 0.99)]!, bytes: bytes / turns, task }
  }
})

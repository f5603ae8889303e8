import { appendFileSync } from 'node:fs'
import { agent } from '../../src/agents/agent.ts'
import { app } from '../../src/runtime/app.ts'
import { start } from '../../src/runtime/start.ts'
import type { CallError } from '../../src/tasks/script.ts'

/* A worker that is killed in the middle of the steps of its agent. Its third process is not. */

const [home, bus, notes, process_] = process.argv.slice(2) as [string, string, string, string]
const note = (text: string) => appendFileSync(notes, `${text}\n`)
/** Ends this process as if it was killed, in the middle of the step. */
const killIn = (number: string) => {
  if (process_ === number) process.kill(process.pid, 'SIGKILL')
}

const clerk = agent('clerk', {
  on: 'go',
  async run(ctx) {
    const first = await ctx.step('first', () => {
      note('first')
      return 1
    })
    const second = await ctx.step('second', ({ idempotencyKey, attempt }) => {
      note(`second ${idempotencyKey.slice(-9)} ${attempt > 1}`)
      killIn('1')
      return 2
    })
    const once = await ctx
      .step('once', () => { note('once'); killIn('2'); return 3 }, { atMostOnce: true }) // biome-ignore format: short
      .catch((error: CallError) => error.code)
    const last = await ctx.step('last', () => 4)
    return [first, second, once, last]
  },
})

await start(app({ name: 'kill', use: [clerk] }), { home, bus, only: ['agents'] })

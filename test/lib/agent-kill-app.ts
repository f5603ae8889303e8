import { appendFileSync } from 'node:fs'
import type { LanguageModelV4CallOptions } from '@ai-sdk/provider'
import { z } from 'zod'
import { agent, app, handover, model, start, tool, type CallError } from '../../src/index.ts'
import { plainModel, readIn, type Said } from './plain-model.ts'

/*
 * A worker that is killed in the middle of a step and of an answer of a model. Its third process is not:
 *
 *     first    the second step of the clerk, and the request of the desk after its guard and a summary
 *     second   an `atMostOnce` step of the clerk, and the request of the agent that took the conversation over
 */

const [home, bus, notes, process_] = process.argv.slice(2) as [string, string, string, string]
const note = (text: string) => appendFileSync(notes, `${text}\n`)
const reached = new Set<string>()
/** Ends this process when both the step and the model have come so far. */
async function dieIn(number: string, where: 'step' | 'model') {
  if (process_ !== number) return
  if (reached.add(where).size === 2) process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

const clerk = agent('clerk', {
  on: 'go',
  async run(ctx) {
    const first = await ctx.step('first', () => {
      note('first')
      return 1
    })
    const second = await ctx.step('second', async ({ idempotencyKey, attempt }) => {
      note(`second ${idempotencyKey.slice(-9)} ${attempt > 1}`)
      await dieIn('1', 'step')
      return 2
    })
    const once = await ctx
      .step('once', async () => { note('once'); await dieIn('2', 'step'); return 3 }, { atMostOnce: true }) // biome-ignore format: short
      .catch((error: CallError) => error.code)
    const last = await ctx.step('last', () => 4)
    return [first, second, once, last]
  },
})

const names = tool('names.hide', {
  description: 'Hides names.',
  input: z.object({ message: z.string() }),
  run({ message }) {
    note('guard')
    return { allow: true, rewrite: message.replace('Ann', 'N.') }
  },
})
const look = tool('look', { description: 'Looks.', input: z.object({}), run: () => 'seen' })

/** `answer` may take time. */
function slowly(name: string, answer: (texts: readonly string[]) => Promise<Said> | Said) {
  const doStream = async (options: LanguageModelV4CallOptions) => {
    const said = await answer(readIn(options.prompt))
    return plainModel(() => said).model.doStream(options)
  }
  return model({ ...plainModel(() => '').model, doStream }, { name })
}
const call = (name: string, n: number): Said => [{ id: `${name}-${n}`, tool: name, input: {} }]

const billing = agent('billing', {
  description: 'Knows invoices.',
  instructions: 'Answer.',
  model: slowly('billing', async texts => {
    note('billing')
    await dieIn('2', 'model')
    return texts.join(' | ')
  }),
})
const desk = agent('desk', {
  on: 'talk',
  instructions: 'Look twice, then hand over.',
  model: slowly('desk', async texts => {
    if (texts.at(-1)!.startsWith('The conversation is about to become too long')) {
      note('summary')
      return 'I looked.'
    }
    if (!texts.some(text => text.includes('I looked.'))) return call('look', texts.length)
    await dieIn('1', 'model')
    return call('transfer_to_billing', 0)
  }),
  tools: [look, handover(billing)],
  guard: { input: names },
  maxContextTokens: 1,
})

await start(app({ name: 'kill', use: [clerk, desk, billing, names, look] }), {
  home,
  bus,
  only: ['agents', 'tools', 'models'],
})

import { z } from 'zod'
import { expect } from 'vitest'
import { agent, all, on, tool, workflow, type CloudEvent } from '../../src/index.ts'
import { tidings } from './cli.ts'
import type { World } from './world.ts'

/* An app with joins, failures and large data, and what verbs print of its log. */

export const large = 'many words '.repeat(4_000)
const fetched = tool('page.fetch', {
  description: 'Fetches',
  input: z.string(),
  run: url => ({ url, text: url === 'large' ? large : 'short' }),
})
const broken = tool('page.broken', { description: 'Throws', input: z.string(), run: failing })
const nowhere = tool('page.nowhere', { description: 'Hosted nowhere', input: z.string(), run: () => 1 })
function failing(): never {
  throw new Error('no such page', { cause: new RangeError('sector 12') })
}
const both = agent('both', {
  on: 'pages.wanted',
  run: async ctx => {
    const pages = await Promise.all([ctx.call(fetched, 'large'), ctx.call(fetched, 'small')])
    ctx.emit({ type: 'payment.failed', data: { order: 7, words: pages.map(({ text }) => text.length) } })
    return 'line one\nline two'
  },
})
const many = agent('many', {
  on: 'many.wanted',
  run: async ctx => {
    const pages = Array.from({ length: 30 }, (_, n) => ctx.call(fetched, String(n)))
    return (await Promise.all(pages)).length
  },
})
const failer = agent('failer', { on: 'failure.wanted', run: async ctx => ctx.call(broken, 'a') })
const waiter = agent('waiter', { on: 'wait.wanted', run: async ctx => ctx.call(nowhere, 'a') })
const pair = workflow('pair', { on: 'pair.wanted', within: '1h' })
  .when('came', all(on('left.came').as('left'), on('right.came').as('right')), { within: '1h' })
  .emit('pair.expired', s => ({ left: s.left.n, right: s.right.n }))
export const use = [both, many, failer, waiter, pair, fetched, broken]

export const taskOf = ({ id }: CloudEvent) => id.split(':')[0]!

export async function lines(place: World['place'], ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await tidings(place, args)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return stdout
}

export const records = async <T = Record<string, any>>(place: World['place'], ...args: string[]): Promise<T[]> =>
  (await lines(place, ...args, '--json'))
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as T)

export const refusal = async (place: World['place'], ...args: string[]) => {
  const { code, stdout, stderr } = await tidings(place, [...args, '--json'])
  expect({ stdout, failed: code! > 0 }).toEqual({ stdout: '', failed: true })
  return (JSON.parse(stderr) as { error: { code: string; message: string } }).error
}

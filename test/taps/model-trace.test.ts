import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { tidings } from '../lib/cli.ts'
import { embeddedWorld } from '../lib/world.ts'
import { modelTapped, post } from './lib/model-tapped.ts'

/* What the commands show of calls that passed a tap, and of a slice with them. */

test('trace, why, find and slices show tapped calls as calls of models', async () => {
  const world = await embeddedWorld()
  await using server = await openaiServer(
    { toolCalls: [{ name: 'search', arguments: { q: 'hours' } }], usage: { prompt: 50, completion: 9 } },
    { text: 'Open until six, says the walrus.', usage: { prompt: 70, completion: 6 } },
    { status: 500 },
  )
  const { url, calls } = await modelTapped(world, server.url, { prices: { 'any-1': { input: 2, output: 10 } } })
  const first = [
    { role: 'system', content: 'You help visitors.' },
    { role: 'user', content: 'When is the aquarium open?' },
  ]
  const asked = await (await post(`${url}/v1/chat/completions`, { model: 'any-1', messages: first })).json()
  const { choices } = asked as { choices: { message: { tool_calls: { id: string }[] } }[] }
  const tool = { role: 'tool', tool_call_id: choices[0]!.message.tool_calls[0]!.id, content: 'until six' }
  await (
    await post(`${url}/v1/chat/completions`, { model: 'any-1', messages: [...first, choices[0]!.message, tool] })
  ).text()
  await (await post(`${url}/v1/chat/completions`, { model: 'other', messages: first })).text()
  const [one, two] = await calls(3)
  const { correlationid: correlation } = one!.request
  const run = async (...args: string[]) => {
    const { stdout, stderr, code } = await tidings(world.place, args)
    expect([args.join(' '), code, stderr]).toEqual([args.join(' '), 0, args[0] === 'export' ? expect.any(String) : ''])
    return stdout
  }
  const trace = await run('trace', correlation)
  expect(trace).toMatch(/model any-1 +✔ .*\[tap test\] {2}59 tokens, cost 0\.000190 /)
  expect(trace).toMatch(/└─ model any-1 +✔ .*76 tokens, cost 0\.000200 {2}Open until six, says the walrus\./)
  expect(trace).toMatch(/2 calls · 135 tokens · cost 0\.000390/)
  const list = await run('trace')
  expect(list).toMatch(/✖ .* model\.invoke .*, 1 failed call {2}When is the aquarium open\?/)
  expect(list.match(/failed/g)).toHaveLength(1)
  const why = await run('why', two!.answer.id)
  expect(why).toMatch(/model +any-1, 76 tokens/)
  expect(why).toMatch(/instructions +You help visitors\./)
  expect(why).toMatch(/tool +\["until six"\]/)
  expect(why).toMatch(/user +When is the aquarium open\?/)
  expect(await run('find', 'aquarium')).toContain('model.invoke')
  expect(await run('find', 'walrus')).toContain('model.result')
  const slice = join(world.place.home, 'slice.jsonl')
  await run('export', slice, '--all')
  const copy = await embeddedWorld()
  expect((await tidings(copy.place, ['import', slice])).code).toBe(0)
  const imported = await tidings(copy.place, ['trace', correlation])
  expect(imported.stdout).toBe(trace)
  expect((await tidings(copy.place, ['status'])).stdout).not.toContain('tap:')
}, 120_000)

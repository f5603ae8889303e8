import { expect, it } from 'vitest'
import { embeddedWorld } from '../../lib/world.ts'
import { gatewayOn, shop } from '../shop.ts'
import { callsOf } from './lib/calls.ts'
import { pinned, scratch } from './lib/pinned.ts'

/* An app that uses the tools that another app publishes: MCP both ways, each call durable on two logs. */

it('an app calls what another app publishes, and long work is a task of the other log', async () => {
  const on = await embeddedWorld()
  await on.worker(shop)
  const { url, key } = await gatewayOn(on)
  const other = await pinned('shop', { url: `${url}/mcp`, auth: key }, scratch())
  const calls = await callsOf(await embeddedWorld(), { use: [other] })
  expect(other.tool('math_add').options).toMatchObject({ readOnly: true, atMostOnce: false })
  expect(await calls.call('shop.math_add', { a: 1, b: 2 })).toEqual({ sum: 3 })
  expect(await calls.call('shop.slow', { ms: 2_000 })).toBe('took 2000 ms')
  expect(await calls.failure('shop.math_add', { a: 'one', b: 2 })).toMatchObject({ code: 'E_TOOL_INPUT' })
})

import { setTimeout } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { approval } from '../../src/tasks/approval.ts'
import { startGateway, type GatewayOptions } from '../../src/gateway/gateway.ts'
import { openBus } from '../../src/runtime/environment.ts'
import type { AppOptions } from '../../src/runtime/app.ts'
import { tool } from '../../src/tools/tool.ts'
import type { World } from '../lib/world.ts'

/* An app that publishes some of what it has over MCP. */

export const add = tool('math.add', {
  description: 'Adds two numbers.',
  input: z.object({ a: z.number(), b: z.number() }),
  output: z.object({ sum: z.number() }),
  readOnly: true,
  run: ({ a, b }) => ({ sum: a + b }),
})

export const refund = tool('refund', {
  description: 'Pays an order back.',
  input: z.object({ order: z.string() }),
  approval: true,
  run: ({ order }) => `refunded ${order}`,
})

/** Takes as long as it is told. */
const slow = tool('slow', {
  description: 'Takes a while.',
  input: z.object({ ms: z.number() }),
  timeout: '5m',
  async run({ ms }, { signal, progress }) {
    progress('began')
    await setTimeout(ms, undefined, { signal })
    return `took ${ms} ms`
  },
})

export const greeter = agent('greeter', {
  description: 'Greets.',
  run: async (_, name: string) => `Hello, ${name}!`,
})

const editor = approval<{ text: string }>('editor', { approvers: ['ann'] })
export const writer = agent('writer', {
  description: 'Writes a text, which an editor approves.',
  input: z.object({ text: z.string() }),
  run: async (ctx, { text }) => {
    const { approved, by, comment } = await ctx.call(editor, { text })
    return { approved, by, ...(comment !== undefined && { comment }) }
  },
})

/** Not published. */
export const secret = tool('secret', {
  description: 'Is for the agents of the app only.',
  input: z.object({}),
  run: () => 'secret',
})

/** Answers with a text and a picture, as parts of a message. */
const painter = agent('painter', {
  description: 'Paints.',
  run: async (_, blob: string) => [
    { type: 'text', text: 'A lamp.' },
    { type: 'file', mediaType: 'image/png', blob },
    { type: 'file', mediaType: 'application/pdf', filename: 'lamp.pdf', blob: blob.replace(/.$/, 'x') },
  ],
})

const members = [add, refund, slow, greeter, writer, painter]
export const shop: AppOptions = { name: 'shop', use: [...members, secret], mcp: members }

/** A gateway of its own on the log of a world. */
export async function gatewayOn({ place }: World, options: Partial<GatewayOptions> = {}) {
  const bus = await openBus(place)
  const gateway = await startGateway({ bus, port: 0, ...options })
  onTestFinished(async () => {
    await gateway.stop()
    await bus.close()
  })
  return { bus, url: gateway.url, key: new URL(gateway.console).hash.replace('#key=', '') }
}

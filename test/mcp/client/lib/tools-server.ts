import { appendFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'

/*
 * A server of the SDK with one tool for each thing that a client must handle. `folder` receives a line for each run of a tool, so that a test can
 * count them over any number of processes.
 */

export interface ToolsServerOptions {
  readonly folder: string
  /** Text in the description of `echo`. */
  readonly about?: string | undefined
}

// A PNG of one pixel.
export const pixel = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

export function toolsServer({ folder, about = 'Says it again.' }: ToolsServerOptions): McpServer {
  const server = new McpServer({ name: 'tools', version: '1.2.3' }, { capabilities: { tools: {} } })
  const ran = (tool: string) => appendFileSync(join(folder, `${tool}.runs`), `${process.pid}\n`)
  const runsOf = (tool: string) => readFileSync(join(folder, `${tool}.runs`), 'utf8').split('\n').length - 1
  const text = (said: string) => ({ content: [{ type: 'text' as const, text: said }] })
  const reads = { annotations: { readOnlyHint: true } }
  const repeats = { annotations: { idempotentHint: true } }

  server.registerTool('echo', { description: about, inputSchema: z.object({ text: z.string() }), ...reads }, given => {
    ran('echo')
    return text(given.text)
  })
  const sum = z.object({ sum: z.number() })
  server.registerTool('addNumbers', { description: 'Adds.', inputSchema: z.object({ a: z.number(), b: z.number() }), outputSchema: sum, ...reads }, ({ a, b }) => ({ ...text(String(a + b)), structuredContent: { sum: a + b } })) // biome-ignore format: one line
  server.registerTool('picture', { description: 'Draws.', ...reads }, () => ({
    content: [
      { type: 'text', text: 'A pixel:' },
      { type: 'image', data: pixel, mimeType: 'image/png' },
      { type: 'resource_link', uri: 'file:///etc/passwd', name: 'a link' },
    ],
  }))
  server.registerTool('fails', { description: 'Fails.', ...reads }, () => ({ ...text('no such shop'), isError: true }))
  const wait = z.object({ ms: z.number(), marks: z.string().optional() })
  for (const [name, hints] of [['slow', repeats], ['once', {}]] as const) // biome-ignore format: one line
    server.registerTool(name, { description: 'Takes a while.', inputSchema: wait, ...hints }, async ({ ms }, ctx) => {
      ran(name)
      const steps = Math.max(1, Math.floor(ms / 50))
      for (let step = 1; step <= steps; step++) {
        await delay(ms / steps)
        const progressToken = ctx.mcpReq._meta?.progressToken
        if (progressToken !== undefined)
          await ctx.mcpReq.notify({
            method: 'notifications/progress',
            params: { progressToken, progress: step, total: steps, message: `step ${step}` },
          })
      }
      return text('done')
    })
  // Ends the server, the first two times.
  for (const [name, hints] of [['dies', repeats], ['dies_once', {}]] as const) // biome-ignore format: one line
    server.registerTool(name, { description: 'Ends the server.', ...hints }, () => {
      ran(name)
      if (runsOf(name) > 2) return text('survived')
      process.exit(3)
    })
  server.registerTool('secret', { description: 'Tells what it was given.', ...reads }, () => text(`it is ${process.env.SHOP_TOKEN}`)) // biome-ignore format: one line
  server.registerResource('notes', 'notes://opening', { description: 'When it is open.' }, () => ({ contents: [{ uri: 'notes://opening', text: 'From ten to four.' }] })) // biome-ignore format: one line
  server.registerPrompt('greet', { description: 'Greets.', argsSchema: z.object({ name: z.string() }) }, ({ name }) => ({ messages: [{ role: 'user', content: { type: 'text', text: `Greet ${name}.` } }] })) // biome-ignore format: one line
  return server
}

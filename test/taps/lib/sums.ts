import { setTimeout as pause } from 'node:timers/promises'
import { McpServer } from '@modelcontextprotocol/server'
import { z } from 'zod'

const says = (text: string) => ({ content: [{ type: 'text' as const, text }] })

/** An MCP server for tests of taps: tools that answer, fail, report progress, wait, and answer with much. */
export function sumsServer(): McpServer {
  const server = new McpServer({ name: 'sums', version: '1.0.0' })
  const numbers = z.object({ a: z.number(), b: z.number() })
  server.registerTool(
    'add',
    { description: 'Adds.', inputSchema: numbers, annotations: { readOnlyHint: true } },
    ({ a, b }) => says(String(a + b)),
  )
  server.registerTool('divide', { description: 'Divides.', inputSchema: numbers }, ({ a, b }) => {
    if (b === 0) throw new Error('division by zero')
    return says(String(a / b))
  })
  server.registerTool('repeat', { inputSchema: z.object({ text: z.string(), times: z.number() }) }, ({ text, times }) =>
    says(text.repeat(times)),
  )
  server.registerTool('wait', { inputSchema: z.object({ ms: z.number() }) }, async ({ ms }, { mcpReq }) => {
    const progressToken = mcpReq._meta?.progressToken
    if (progressToken !== undefined)
      await mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress: 1, total: 2 } })
    await pause(ms, undefined, { signal: mcpReq.signal })
    return says('done')
  })
  return server
}

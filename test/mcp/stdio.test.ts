import type { Client } from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { Client as OldClient } from '@modelcontextprotocol/sdk/client/index.js'
import { StdioClientTransport as OldStdioTransport } from '@modelcontextprotocol/sdk/client/stdio.js'
import { join } from 'node:path'
import { userInfo } from 'node:os'
import { text } from 'node:stream/consumers'
import type { Readable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../../src/testing/wait.ts'
import { embeddedWorld, type World } from '../lib/world.ts'
import { tidings } from '../lib/cli.ts'
import { eras, newClient, textOf, type Era, type Form } from './clients.ts'
import { refund, shop } from './shop.ts'

/* `tidings mcp`, as desktop clients start it: a process that talks over standard input and output. */

const main = join(import.meta.dirname, '../../src/cli/main.ts')

function commandOn({ place }: World, ...args: string[]) {
  const env = { ...(process.env as Record<string, string>), TIDINGS_BUS: place.bus, TIDINGS_LOG_LEVEL: 'debug' }
  return { command: process.execPath, args: [main, 'mcp', '--home', place.home, ...args], env, stderr: 'pipe' as const }
}

async function stdioClient(
  world: World,
  era: Era,
  onForm: (form: Form) => object,
): Promise<{ client: Client; stderr: Promise<string> }> {
  const client = newClient(era, { onForm })
  const transport = new StdioClientTransport(commandOn(world, '--wait', '1s'))
  const stderr = text(transport.stderr as Readable)
  await client.connect(transport)
  onTestFinished(() => client.close())
  return { client, stderr }
}

test.each(eras)(
  'a client of %s starts it, calls, answers a form as the user of the machine, and comes back',
  async era => {
    const on = await embeddedWorld()
    const { bus } = await on.worker(shop)
    const forms: Form[] = []
    const grant = (form: Form) => (forms.push(form), { action: 'accept', content: { decision: 'grant' } })
    const { client, stderr } = await stdioClient(on, era, grant)
    expect((await client.listTools()).tools.map(({ name }) => name)).toContain('greeter')
    expect(textOf(await client.callTool({ name: 'greeter', arguments: { input: 'Ann' } }))).toBe('Hello, Ann!')
    expect(textOf(await client.callTool({ name: refund.name, arguments: { order: 'A1' } }))).toBe('refunded A1')
    expect(forms).toHaveLength(1)
    const answers = await Array.fromAsync(bus.read({ filter: [{ types: ['approval.granted'] }] }))
    expect(answers[0]!.event).toMatchObject({ user: `cli/${userInfo().username}`, source: '/mcp' })

    const waits = textOf(await client.callTool({ name: 'slow', arguments: { ms: 2_500 } }))
    const [, task] = /"task": "([^"]+)"/.exec(waits)!
    await client.close()
    expect(await stderr).toContain('tidings mcp serves math_add, refund, slow, greeter, writer, painter')
    // The client is started again, as after a crash of the machine: the task did not notice.
    const again = (await stdioClient(on, era, grant)).client
    const result = await until(async () => {
      const found = textOf(await again.callTool({ name: 'get_task', arguments: { task } }))
      return found.includes('still runs') ? undefined : found
    })
    expect(result).toBe('took 2500 ms')
  },
)

test('the SDK of the era before works over stdio, and an app that publishes nothing says so', async () => {
  const on = await embeddedWorld()
  await on.worker({ use: [] })
  const client = new OldClient({ name: 'old', version: '1' })
  const transport = new OldStdioTransport(commandOn(on))
  const stderr = text(transport.stderr as Readable)
  await client.connect(transport)
  expect((await client.listTools()).tools).toEqual([])
  await client.close()
  expect(await stderr).toContain('No app on this log publishes anything over MCP')
  expect((await tidings(on.place, ['mcp', '--wait', 'soon'])).code).not.toBe(0)
})

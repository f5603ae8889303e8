import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { event } from '../../src/event.ts'
import { asyncApi } from '../../src/gateway/api/asyncapi.ts'
import { openApi } from '../../src/gateway/api/openapi.ts'
import { routeDescriptions } from '../../src/gateway/api/route-descriptions.ts'
import { startGateway } from '../lib/gateway.ts'
import { findApiTools } from '../lib/api-tools.ts'

/* The API documents of the gateway say what it does: no route is missing, and tools of others can read them. */

const paid = event('order.paid', z.object({ order: z.string(), amount: z.number() }))

it('describe every route, and no other', async () => {
  const { url } = await startGateway()
  const answer = (await (await fetch(`${url}/nothing`)).json()) as { error: { message: string } }
  const routes = answer.error.message.split('expected ')[1]!.split(', ')
  // A WebSocket is no request of OpenAPI: it is in the AsyncAPI document. The pages of the console are for browsers only.
  expect(routeDescriptions.map(({ route }) => route).toSorted()).toEqual(
    [...new Set(routes)].filter(route => !/^GET \/(|ask|console.*|events\/socket)$/.test(route)).toSorted(),
  )
})

it('are served, with the event types that the app declares', async () => {
  const { url } = await startGateway()
  const served = async (name: string) => (await (await fetch(`${url}/${name}`)).json()) as Record<string, unknown>
  expect(await served('openapi.json')).toEqual(JSON.parse(JSON.stringify(openApi({ isGuarded: false, names: [] }))))
  expect(await served('asyncapi.json')).toEqual(JSON.parse(JSON.stringify(asyncApi([]))))
  expect(JSON.stringify(asyncApi([paid]))).toContain('"const":"order.paid"')
})

it('are valid for the validators of their communities', async context => {
  const tools = await findApiTools()
  if ('reason' in tools) return context.skip(tools.reason)
  const folder = await mkdtemp(join(tmpdir(), 'tidings-api-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  for (const isGuarded of [false, true]) {
    await writeFile(join(folder, 'openapi.json'), JSON.stringify(openApi({ isGuarded, names: ['clerk'] })))
    const redocly = join(tools.folder, 'node_modules/@redocly/cli/bin/cli.js')
    const env = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' }
    const lint = [
      redocly,
      'lint',
      'openapi.json',
      '--format=json',
      ...(isGuarded ? [] : ['--skip-rule=security-defined']),
    ]
    const { stdout } = await promisify(execFile)(process.execPath, lint, { cwd: folder, env })
    expect((JSON.parse(stdout) as { problems: unknown[] }).problems).toEqual([])
  }
  const { Parser } = createRequire(join(tools.folder, 'index.js'))('@asyncapi/parser') as {
    Parser: new () => { parse(text: string): Promise<{ diagnostics: unknown[] }> }
  }
  expect((await new Parser().parse(JSON.stringify(asyncApi([paid])))).diagnostics).toEqual([])
})

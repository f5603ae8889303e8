import { expect, test } from 'vitest'
import { app } from '../../src/runtime/app.ts'
import { ApprovalClient } from '../../src/ask/approval-client.ts'
import { Client as AskClient } from '../../src/ask/client.ts'
import { until } from '../../src/testing/wait.ts'
import { asked } from '../lib/approvals.ts'
import { GatewayProcess } from '../lib/gateway-process.ts'
import { everything, keyFor, policyFile } from '../lib/identity.ts'
import { embeddedWorld, eventsOf, onAnyBus, typesOf } from '../lib/world.ts'
import { asks, eras, grant, httpClient, oldHttpClient, post, tasks, textOf, type Form } from './clients.ts'
import { add, gatewayOn, greeter, refund, secret, shop, writer } from './shop.ts'

/* What an app publishes over MCP, as clients see it. */

test('only what the app lists is published, and the app says at once what cannot be', () => {
  expect(app(shop).published).toEqual([
    { kind: 'tool', name: 'math.add' },
    { kind: 'tool', name: 'refund' },
    { kind: 'tool', name: 'slow' },
    { kind: 'agent', name: 'greeter' },
    { kind: 'agent', name: 'writer' },
    { kind: 'agent', name: 'painter' },
  ])
  expect(app({ use: [add] }).published).toEqual([])
  expect(() => app({ use: [add], mcp: [greeter] })).toThrow('mcp publishes the agent "greeter", which is not in use')
  expect(() => app({ use: [add], mcp: [add, add] })).toThrow('has the same name as the tool "math.add"')
  expect(() => app({ use: [add], mcp: ['add' as never] })).toThrow('entry 0 of mcp is not an agent')
})

onAnyBus(world => {
  test.each(eras)('a client of %s lists and calls what is published, and every call is a task', async era => {
    const on = await world()
    const { bus } = await on.worker(shop)
    const { url } = await gatewayOn(on)
    const client = await httpClient(url, era)
    const { tools } = await client.listTools()
    const names = tools.map(({ name }) => name)
    expect(names).toEqual(['math_add', 'refund', 'slow', 'greeter', 'writer', 'painter', 'get_task', 'cancel_task'])
    expect(tools[0]).toMatchObject({
      description: 'Adds two numbers.',
      inputSchema: { type: 'object', required: ['a', 'b'] },
      annotations: { readOnlyHint: true },
    })
    expect(tools[3]).toMatchObject({ inputSchema: { properties: { input: {} }, required: ['input'] } })
    const sum = await client.callTool({ name: 'math_add', arguments: { a: 1, b: 2 } })
    expect(sum).toMatchObject({ content: [{ type: 'text', text: '{"sum":3}' }], structuredContent: { sum: 3 } })
    expect(textOf(await client.callTool({ name: 'greeter', arguments: { input: 'Ann' } }))).toBe('Hello, Ann!')
    const wrong = await client.callTool({ name: 'math_add', arguments: { a: 'one', b: 2 } })
    expect(wrong.isError).toBe(true)
    expect(textOf(wrong)).toContain('E_TOOL_INPUT')
    const [request] = (await Array.fromAsync(bus.read({ filter: [{ types: ['agent.invoke'] }] }))).map(
      ({ event }) => event,
    )
    expect(request).toMatchObject({ target: 'mcp.math.add', source: '/ask', tenant: 'default' })
    expect(typesOf(await eventsOf({ bus }, request!.correlationid))).toEqual([
      'agent.invoke',
      'tool.invoke',
      'tool.result',
      'agent.task.completed',
    ])
    await expect(client.callTool({ name: 'secret', arguments: {} })).rejects.toThrow(`unknown tool "${secret.name}"`)
  })

  test('a gateway is killed while a task runs: another one answers the same session, and has its result', async () => {
    const on = await world()
    await on.worker(shop)
    const [first, second] = [await GatewayProcess.open(on.place), await GatewayProcess.open(on.place)]
    const key = { 'tidings/idempotencyKey': 'once' }
    const called = post(first.url, 'tools/call', { name: 'slow', arguments: { ms: 1_500 }, _meta: key })
    called.catch(() => {})
    const bus = (await on.worker({ name: 'reader', use: [] })).bus
    await until(async () => (await Array.fromAsync(bus.read({ filter: [{ types: ['tool.invoke'] }] }))).length > 0)
    await first.kill()
    await expect(called).rejects.toThrow()
    const again = await post(second.url, 'tools/call', { name: 'slow', arguments: { ms: 1_500 }, _meta: key })
    expect(textOf(again.result)).toBe('took 1500 ms')
    expect(await Array.fromAsync(bus.read({ filter: [{ types: ['tool.invoke'] }] }))).toHaveLength(1)
    const other = await post(second.url, 'tools/call', { name: 'slow', arguments: { ms: 1 }, _meta: key })
    expect(other.error).toMatchObject({ code: -32_602, data: { code: 'E_KEY_REUSED' } })
  })
})

test.each(eras)('in %s a request for approval is a form for those who may answer it', async era => {
  const on = await embeddedWorld()
  await on.worker(shop)
  const policy = await policyFile({ roles: { all: everything, caller: { publish: ['agent.*'], read: ['>'] } } })
  const { bus, url } = await gatewayOn(on, { policy })
  const [ann, bob, cy] = [await keyFor(bus, 'ann'), await keyFor(bus, 'bob'), await keyFor(bus, 'cy', 'caller')]
  const forms: Form[] = []
  const onForm = (form: Form) => (
    forms.push(form), { action: 'accept', content: { decision: 'grant', comment: 'Fine.' } }
  )
  const client = await httpClient(url, era, { key: ann, onForm })
  // With progress the call follows its task from the beginning, past the form that was answered.
  const onprogress = () => {}
  const written = await client.callTool({ name: 'writer', arguments: { text: 'The tides' } }, { onprogress })
  expect(written.structuredContent).toEqual({ approved: true, by: 'ann', comment: 'Fine.' })
  expect(forms).toHaveLength(1)
  expect(forms[0]!.message).toContain('"editor" must be approved')
  expect(forms[0]!.message).toContain('The tides')

  // Neither may answer: bob is not an approver, and the role of cy answers nothing.
  for (const key of [bob, cy]) {
    const headers = { prefer: 'wait=1' }
    const other = await httpClient(url, era, { key, onForm, headers })
    const waits = await other.callTool({ name: 'writer', arguments: { text: 'Secrets' } })
    expect(textOf(waits)).toContain('The task waits: "editor" must be approved by ann')
  }
  expect(forms).toHaveLength(1)

  const declining = await httpClient(url, era, { key: ann, onForm: () => ({ action: 'decline' }) })
  const denied = await declining.callTool({ name: 'writer', arguments: { text: 'Nothing' } })
  expect(denied.structuredContent).toEqual({ approved: false, by: 'ann' })

  // Who dismisses the form answers nothing, and is not asked twice.
  let dismissed = 0
  const onDismissed = () => (dismissed++, { action: 'cancel' })
  const dismissing = await httpClient(url, era, { key: ann, onForm: onDismissed, headers: { prefer: 'wait=1' } })
  if (era === '2026-07-28') {
    const open = await dismissing.callTool({ name: 'writer', arguments: { text: 'Later' } })
    expect(textOf(open)).toContain('must be approved by ann')
    expect(dismissed).toBe(1)
  }
})

test('files are the contents of a result', async () => {
  const on = await embeddedWorld()
  const { bus } = await on.worker(shop)
  const { url } = await gatewayOn(on)
  const { blob } = await bus.putBlob('default', Buffer.from('pixels'))
  const { result } = await post(url, 'tools/call', { name: 'painter', arguments: { input: blob } })
  expect(result!.content).toEqual([
    { type: 'text', text: 'A lamp.' },
    { type: 'image', mimeType: 'image/png', data: Buffer.from('pixels').toString('base64') },
    { type: 'text', text: 'lamp.pdf is gone' },
  ])
})

test('the SDK of the era before calls, waits, asks its person and follows progress', async () => {
  const on = await embeddedWorld()
  const { bus } = await on.worker(shop)
  const { url, key } = await gatewayOn(on)
  const client = await oldHttpClient(url, { key, onForm: grant })
  expect((await client.listTools()).tools.map(({ name }) => name)).toContain('refund')
  expect(textOf(await client.callTool({ name: 'refund', arguments: { order: 'B2' } }))).toBe('refunded B2')
  const heard: unknown[] = []
  const onprogress = (progress: unknown) => void heard.push(progress)
  const called = client.callTool({ name: 'slow', arguments: { ms: 600 } }, undefined, { onprogress })
  expect(textOf(await called)).toBe('took 600 ms')
  const { requests } = { requests: await asks(bus) }
  expect(requests.map(({ event }) => event.user)).toEqual([expect.stringMatching(/^console\//), expect.anything()])
})

test('a read-only key lists nothing and calls nothing; a tenant sees neither the tasks nor the approvals of another', async () => {
  const on = await embeddedWorld()
  await on.worker(shop)
  const policy = await policyFile({ roles: { all: everything, reader: { read: ['>'] } } })
  const { bus, url } = await gatewayOn(on, { policy })
  const reader = await keyFor(bus, 'rita', 'reader')
  const [ann, eve] = [await keyFor(bus, 'ann', 'all', 'acme'), await keyFor(bus, 'eve', 'all', 'evil')]
  expect((await post(url, 'tools/list', {}, { key: reader })).result!.tools).toEqual([])
  const refused = await post(url, 'tools/call', { name: 'math_add', arguments: {} }, { key: reader })
  expect(refused).toMatchObject({ status: 403, error: { code: 'E_FORBIDDEN' } })
  expect((await post(url, 'prompts/get', { name: 'any' }, { key: reader })).status).toBe(403)
  expect((await post(url, 'tools/list')).status).toBe(401)

  const capabilities = { ...tasks, elicitation: {} }
  const created = await post(
    url,
    'tools/call',
    { name: 'refund', arguments: { order: 'C3' } },
    { key: ann, capabilities },
  )
  const { taskId } = created.result!
  const { inputRequests } = (await post(url, 'tasks/get', { taskId }, { key: ann, capabilities })).result!
  const [form] = Object.keys(inputRequests)
  for (const [method, more] of [
    ['tasks/get', {}],
    ['tasks/cancel', {}],
    ['tasks/update', { inputResponses: { [form!]: grant() } }],
  ] as const) {
    const answer = await post(url, method, { taskId, ...more }, { key: eve, capabilities })
    expect(answer.error).toMatchObject({ code: -32_602, data: { code: 'E_NOT_FOUND' } })
  }
  // The form of another tenant, answered as a client of the era before does.
  const posted = await fetch(`${url}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${eve}`,
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: form, result: grant() }),
  })
  expect(posted.status).toBe(404)
  const [open] = await new ApprovalClient(bus).approvals()
  expect(open).toMatchObject({ name: 'refund', tenant: 'acme' })
  expect(await asked(bus, open!.correlation)).toHaveLength(1)

  // A state that another tenant brings back is not one.
  const first = await post(
    url,
    'tools/call',
    { name: 'refund', arguments: { order: 'D4' } },
    { key: ann, capabilities: { elicitation: {} } },
  )
  const { requestState } = first.result!
  expect(first.result).toMatchObject({ resultType: 'input_required', requestState: expect.any(String) })
  for (const [key, state] of [
    [eve, requestState],
    [ann, `${requestState}x`],
  ]) {
    const stolen = await post(
      url,
      'tools/call',
      { name: 'refund', arguments: { order: 'D4' }, requestState: state },
      { key, capabilities: { elicitation: {} } },
    )
    expect(stolen.error).toMatchObject({ code: -32_602, message: expect.stringContaining('requestState') })
  }
})

test('what is not MCP is refused with an error of JSON-RPC, and nothing is started', async () => {
  const on = await embeddedWorld()
  const { bus } = await on.worker(shop)
  const { url } = await gatewayOn(on, { maxBodyBytes: 100_000 })
  const send = async (body: string, headers: Record<string, string> = {}) => {
    const all = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...headers }
    const response = await fetch(`${url}/mcp`, { method: 'POST', headers: all, body })
    const text = await response.text()
    return { status: response.status, text }
  }
  expect(await send('{')).toMatchObject({ status: 400, text: expect.stringContaining('-32700') })
  expect(await send('7')).toMatchObject({ status: 400 })
  expect(await send('[]')).toMatchObject({ status: 400, text: expect.stringContaining('empty JSON-RPC batch') })
  expect(await send(`"${'x'.repeat(100_001)}"`)).toMatchObject({ status: 413 })
  expect(await send('{}', { 'content-type': 'text/plain' })).toMatchObject({ status: 415 })
  expect((await post(url, 'tools/dance')).error).toMatchObject({ code: -32_601 })
  expect((await post(url, 'tools/call', { name: 'nothing' })).error).toMatchObject({ code: -32_602 })
  expect((await post(url, 'tools/call', { name: 'math_add', arguments: 7 })).error).toMatchObject({ code: -32_602 })
  const version = { 'io.modelcontextprotocol/protocolVersion': '2099-01-01' }
  const unknown = await post(
    url,
    'tools/list',
    { _meta: version },
    { headers: { 'mcp-protocol-version': '2099-01-01' } },
  )
  expect(unknown).toMatchObject({ status: 400, error: { code: -32_022 } })
  // The era before has batches.
  const batch = [1, 2].map(id => ({ jsonrpc: '2.0', id, method: 'tools/list' }))
  const listed = await send(JSON.stringify(batch))
  expect(listed.status).toBe(200)
  expect(listed.text.match(/math_add/g)).toHaveLength(2)
  for (const method of ['GET', 'DELETE']) expect((await fetch(`${url}/mcp`, { method })).status).toBe(405)
  // It has no stream of its own, and nothing to end.
  const evil = await fetch(`${url}/mcp`, { method: 'POST', headers: { origin: 'http://evil.example' } })
  expect(evil.status).toBe(403)
  expect(await asks(bus)).toEqual([])
})

test('a log where nothing is published has no tools, and an approval of a call is denied elsewhere too', async () => {
  const on = await embeddedWorld()
  const { bus } = await on.worker({ name: 'quiet', use: [add, writer, refund] })
  const { url } = await gatewayOn(on)
  expect((await post(url, 'tools/list')).result!.tools).toEqual([])
  expect((await post(url, 'tools/call', { name: 'math_add', arguments: { a: 1, b: 1 } })).error).toMatchObject({
    code: -32_602,
  })
  await expect(new AskClient(bus).ask('mcp.math.add', {})).rejects.toMatchObject({ code: 'E_NOT_FOUND' })
})

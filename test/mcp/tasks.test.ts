import { expect, test } from 'vitest'
import { Client as AskClient } from '../../src/ask/client.ts'
import { taskId } from '../../src/bus/ids.ts'
import { until } from '../../src/testing/wait.ts'
import { embeddedWorld } from '../lib/world.ts'
import { asks, grant, httpClient, oldHttpClient, post, tasks, textOf } from './clients.ts'
import { gatewayOn, shop } from './shop.ts'

/* Work that takes long, as MCP clients of both eras follow, answer and cancel it. */

const taskIn = (result: unknown) => /"task": "([^"]+)"/.exec(textOf(result))![1]!

test('with tasks, a call that takes long is a task: its approvals are its input, and any gateway has its result', async () => {
  const on = await embeddedWorld()
  await on.worker({ ...shop, retention: '2d' })
  const { url, key } = await gatewayOn(on)
  const other = await gatewayOn(on)
  const capabilities = { ...tasks, elicitation: { form: {} } }
  const created = await post(url, 'tools/call', { name: 'refund', arguments: { order: 'A1' } }, { key, capabilities })
  expect(created.result).toMatchObject({ resultType: 'task', status: 'input_required', ttlMs: 2 * 24 * 3_600_000 })
  const taskId = created.result!.taskId as string
  const get = (as: object = capabilities) =>
    post(other.url, 'tasks/get', { taskId }, { key: other.key, capabilities: as })
  const { inputRequests } = (await get()).result!
  const [form] = Object.keys(inputRequests)
  expect(inputRequests[form!]).toMatchObject({
    method: 'elicitation/create',
    params: { message: expect.stringContaining('A1') },
  })
  expect((await get(tasks)).result).toMatchObject({
    status: 'working',
    statusMessage: expect.stringContaining('must be approved'),
  })
  expect((await get({})).error).toMatchObject({ code: -32_021 })
  const update = (inputResponses: object) =>
    post(url, 'tasks/update', { taskId, inputResponses }, { key, capabilities })
  // Neither another key, nor a form without a decision, counts.
  expect(
    (await update({ nobody: grant(), [form!]: { action: 'accept', content: { name: 'Ann' } } })).result,
  ).toMatchObject({
    resultType: 'complete',
  })
  expect((await get()).result!.status).toBe('input_required')
  await update({ [form!]: grant() })
  const done = await until(async () => {
    const { result } = await get()
    return result!.status === 'completed' && result
  })
  expect(done).toMatchObject({ result: { content: [{ text: 'refunded A1' }] } })
  expect(
    (await post(url, 'tasks/get', { taskId: `${taskId.slice(0, -1)}0` }, { key, capabilities })).error,
  ).toMatchObject({
    code: -32_602,
    data: { code: 'E_NOT_FOUND' },
  })
})

test('tasks/cancel, cancel_task and notifications/cancelled cancel; a client that only goes away does not', async () => {
  const on = await embeddedWorld()
  const { bus } = await on.worker(shop, { stopWithin: '1s' })
  const { url, key } = await gatewayOn(on)
  const other = await gatewayOn(on)
  const ends = async () =>
    (await Array.fromAsync(bus.read({ filter: [{ types: ['agent.task.cancelled', 'agent.task.completed'] }] }))).length
  const started = async (count: number) =>
    until(async () => (await Array.fromAsync(bus.read({ filter: [{ types: ['tool.invoke'] }] }))).length === count)
  const long = { name: 'slow', arguments: { ms: 60_000 } }

  const created = await post(url, 'tools/call', long, { capabilities: tasks, key })
  const { taskId: first } = created.result!
  expect((await post(other.url, 'tasks/cancel', { taskId: first }, { capabilities: tasks, key })).result).toMatchObject(
    {
      resultType: 'complete',
    },
  )
  const status = async () =>
    (await post(url, 'tasks/get', { taskId: first }, { capabilities: tasks, key })).result!.status
  await until(async () => (await status()) === 'cancelled')

  const waiting = await post(url, 'tools/call', long, { key, headers: { prefer: 'wait=0' } })
  const task = taskIn(waiting.result)
  const cancelled = await post(url, 'tools/call', { name: 'cancel_task', arguments: { task } }, { key })
  expect(textOf(cancelled.result)).toBe(`Task ${task} is cancelled.`)
  await until(async () => (await ends()) === 2)
  const shown = await post(url, 'tools/call', { name: 'get_task', arguments: { task } }, { key })
  expect(textOf(shown.result)).toContain('E_TASK_CANCELLED')

  // In the era before, the cancellation is a request of its own, which may reach another gateway.
  const client = await httpClient(url, '2025-11-25')
  const abort = new AbortController()
  const call = client.callTool(long, { signal: abort.signal })
  call.catch(() => {})
  await started(3)
  const elsewhere = await fetch(`${other.url}/mcp`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      'mcp-session-id': client.transport!.sessionId!,
    },
    body: JSON.stringify({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 1 } }),
  })
  expect(elsewhere.status).toBe(202)
  await until(async () => (await ends()) === 3)

  const leaving = new AbortController()
  const left = fetch(`${url}/mcp`, { ...(await rawCall(long)), signal: leaving.signal })
  left.catch(() => {})
  await started(4)
  leaving.abort()
  const { correlationid, id } = (await asks(bus)).at(-1)!.event
  expect(await ends()).toBe(3)
  await new AskClient(bus).handle(taskId(correlationid, 'mcp.slow', id)).cancel()
})

test('the experimental tasks of 2025-11-25 work with the SDK of that era, also when the approval is answered there', async () => {
  const on = await embeddedWorld()
  await on.worker(shop)
  const { url, key } = await gatewayOn(on)
  const client = await oldHttpClient(url, { key, onForm: grant })
  const messages: { type: string; task?: { taskId: string; status: string; ttl: number | null } }[] = []
  const stream = client.experimental.tasks.callToolStream({ name: 'refund', arguments: { order: 'E5' } }, undefined, {
    task: { ttl: 60_000 },
  })
  for await (const message of stream) messages.push(message)
  expect(messages[0]).toMatchObject({ type: 'taskCreated', task: { ttl: 7 * 24 * 3_600_000 } })
  expect(messages.at(-1)).toMatchObject({ type: 'result', result: { content: [{ text: 'refunded E5' }] } })
  const { taskId } = messages[0]!.task!
  // Another client, at another gateway.
  const other = await gatewayOn(on)
  const again = await oldHttpClient(other.url, { key: other.key })
  expect(await again.experimental.tasks.getTask(taskId)).toMatchObject({ taskId, status: 'completed' })
  const long = again.experimental.tasks.callToolStream({ name: 'slow', arguments: { ms: 60_000 } }, undefined, {
    task: {},
  })
  const created = (await long.next()).value as (typeof messages)[number]
  const cancelled = await client.experimental.tasks.cancelTask(created.task!.taskId)
  expect(cancelled).toMatchObject({ status: 'cancelled' })
  await expect(client.experimental.tasks.getTask('nothing')).rejects.toThrow('there is no task "nothing"')
})

const rawCall = async (params: object): Promise<RequestInit> => ({
  method: 'POST',
  headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
  body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params }),
})

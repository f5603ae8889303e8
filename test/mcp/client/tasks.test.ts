import { describe, expect, it } from 'vitest'
import { until } from '../../../src/testing/wait.ts'
import { embeddedWorld, ended, onEveryBus } from '../../lib/world.ts'
import { callsOf } from './lib/calls.ts'
import { pinned, scratch } from './lib/pinned.ts'
import { listed, rawServer, rpcError, textResult, type Era } from './lib/raw-server.ts'

/* Calls that a server turns into tasks, which outlive the worker that made them. */

const eras: Record<Era, { capabilities: object; tool: object; get(status: string): object; created: object }> = {
  '2026-07-28': {
    capabilities: { extensions: { 'io.modelcontextprotocol/tasks': {} } },
    tool: {},
    created: { resultType: 'task', taskId: 'task-1', status: 'working', ttlMs: null, pollIntervalMs: 100 },
    get: status => ({ taskId: 'task-1', status, ttlMs: null, ...(status === 'completed' && { result: textResult('the report') }) }), // biome-ignore format: one line
  },
  '2025-11-25': {
    capabilities: { tasks: { requests: { tools: { call: {} } } } },
    tool: { execution: { taskSupport: 'optional' } },
    created: { task: { taskId: 'task-1', status: 'working', ttl: 60_000, pollInterval: 100, createdAt: '', lastUpdatedAt: '' } }, // biome-ignore format: one line
    get: status => ({ taskId: 'task-1', status, ttl: 60_000, createdAt: '', lastUpdatedAt: '' }),
  },
}

function reportServer(era: Era, state: { status: string }) {
  const { capabilities, tool, created, get } = eras[era]
  return rawServer({
    era,
    capabilities,
    tools: [listed('report', tool)],
    answer: ({ method }) => {
      if (method === 'tools/call') return created
      if (method === 'tasks/get' && state.status === 'unknown') throw rpcError(-32602, 'no such task')
      if (method === 'tasks/get') return get(state.status)
      if (method === 'tasks/result') return textResult('the report')
      return {}
    },
  })
}

describe.each(Object.keys(eras) as Era[])('a task of %s', era => {
  onEveryBus(world => {
    it('is continued by its stored id when its worker is gone, and the tool is not called again', async () => {
      const state = { status: 'working' }
      const server = await reportServer(era, state)
      const shop = await pinned('shop', { url: server.url }, scratch())
      const log = await world()
      const first = await callsOf(log, { use: [shop] }, { stopWithin: '1ms' })
      const { id, correlationid } = await first.started('shop.report', {})
      await until(() => server.requests.some(({ method }) => method === 'tasks/get'))
      await first.worker.stop()
      expect(server.requests.some(({ method }) => method === 'tasks/cancel')).toBe(false)
      state.status = 'completed'
      const second = await callsOf(log, { use: [shop] })
      const end = await ended(second.worker, correlationid, id)
      expect((await second.worker.bus.resolve(end)).data).toMatchObject({ output: { output: 'the report' } })
      expect(server.requests.filter(({ method }) => method === 'tools/call')).toHaveLength(1)
    })
  })

  it('that the server forgot has an unknown outcome', async () => {
    const server = await reportServer(era, { status: 'unknown' })
    const shop = await pinned('shop', { url: server.url }, scratch())
    const calls = await callsOf(await embeddedWorld(), { use: [shop] })
    expect(await calls.failure('shop.report', {})).toMatchObject({ code: 'E_TOOL_OUTCOME_UNKNOWN' })
  })

  it('is cancelled on the server at the timeout of the tool', async () => {
    const server = await reportServer(era, { status: 'working' })
    const shop = await pinned('shop', { url: server.url }, scratch(), { tools: { report: { timeout: 500 } } })
    const calls = await callsOf(await embeddedWorld(), { use: [shop] })
    expect(await calls.failure('shop.report', {})).toMatchObject({ code: 'E_TOOL_TIMEOUT' })
    await until(() => server.requests.some(({ method, params }) => method === 'tasks/cancel' && params.taskId === 'task-1')) // biome-ignore format: one line
  })
})

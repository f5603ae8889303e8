import { expect, test } from 'vitest'
import { failure } from '../../errors.ts'
import type { CallEnd } from './call-end.ts'
import { messagesIn, type JsonRpcMessage } from './json-rpc.ts'
import { McpObserver, type ObservedCall } from './observer.ts'
import type { ToolListing } from './tool-listing.ts'

interface Seen extends ObservedCall<string> {
  readonly ends: CallEnd[]
  readonly progress: object[]
}

function observed() {
  const calls: Seen[] = []
  const lists: ToolListing[] = []
  const observer = new McpObserver<string>({
    begin(call) {
      const seen: Seen = { ...call, ends: [], progress: [] }
      calls.push(seen)
      return { end: end => seen.ends.push(end), progress: data => seen.progress.push(data) }
    },
    listed: listing => lists.push(listing),
  })
  const fromClient = (message: JsonRpcMessage, scope = '') => observer.fromClient(message, { scope, origin: 'ann' })
  const fromServer = (message: JsonRpcMessage, scope = '') => observer.fromServer(message, scope)
  return { observer, fromClient, fromServer, calls, lists }
}

const call = (id: unknown, name = 'add', params: object = { arguments: { a: 1 } }) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name, ...params },
})
const answer = (id: unknown, result: unknown) => ({ jsonrpc: '2.0', id, result })
const text = (value: string) => ({ content: [{ type: 'text', text: value }] })

test('a call ends with the answer to its id, of its type', () => {
  const { observer, fromClient, fromServer, calls } = observed()
  fromClient(call(1))
  fromClient(call('1', 'sub'))
  fromServer(answer('1', text('sub')))
  expect(calls.map(({ tool, ends }) => [tool, ends])).toEqual([
    ['add', []],
    ['sub', [{ output: text('sub') }]],
  ])
  fromServer(answer(1, text('add')))
  fromServer(answer(1, text('again')))
  expect(calls[0]!.ends).toEqual([{ output: text('add') }])
  expect(observer.openCalls).toBe(0)
})

test('an id that is used again ends the call before it', () => {
  const { fromClient, fromServer, calls } = observed()
  fromClient(call(1))
  fromClient(call(1, 'sub'))
  fromServer(answer(1, text('sub')))
  expect(calls.map(({ ends }) => ends)).toEqual([
    [{ error: expect.objectContaining({ code: 'E_TAP_INTERRUPTED' }) }],
    [{ output: text('sub') }],
  ])
})

test('errors of the protocol, of the tool, and cancellations', () => {
  const { fromClient, fromServer, calls } = observed()
  for (const id of [1, 2, 3]) fromClient(call(id))
  fromServer({ id: 1, error: { code: -32602, message: 'unknown tool' } })
  fromServer(answer(2, { ...text('no such file'), isError: true }))
  fromClient({ method: 'notifications/cancelled', params: { requestId: 3, reason: 'too slow' } })
  fromServer(answer(3, text('too late')))
  expect(calls.map(({ ends }) => ends[0])).toMatchObject([
    { error: { code: 'E_TAP_UPSTREAM', originalCode: '-32602', message: 'unknown tool' } },
    { error: { code: 'E_TOOL_THREW', message: 'no such file' }, output: { isError: true } },
    { error: { code: 'E_TAP_CANCELLED', message: 'too slow' } },
  ])
  expect(calls[2]!.ends).toHaveLength(1)
})

test('requests of the server, other methods and answers to them are not calls of tools', () => {
  const { observer, fromClient, fromServer, calls } = observed()
  fromClient(call(1))
  fromServer({ id: 1, method: 'sampling/createMessage', params: {} })
  fromClient(answer(1, { role: 'assistant' }))
  fromClient({ id: 2, method: 'resources/read', params: { uri: 'file:///etc' } })
  fromServer(answer(2, { contents: [] }))
  expect(calls).toHaveLength(1)
  expect(calls[0]!.ends).toEqual([])
  observer.interrupt(failure('E_TAP_INTERRUPTED', 'the server ended'))
  expect(calls[0]!.ends).toMatchObject([{ error: { message: 'the server ended' } }])
})

test('progress belongs to the call with its token, and is thinned', () => {
  const { fromClient, fromServer, calls } = observed()
  fromClient(call(1, 'slow', { _meta: { progressToken: 7 } }))
  fromClient(call(2, 'slow', { _meta: { progressToken: '7' } }))
  for (let progress = 0; progress < 1_000; progress++)
    fromServer({ method: 'notifications/progress', params: { progressToken: '7', progress, total: 1_000 } })
  fromServer({ method: 'notifications/progress', params: { progress: 1 } })
  expect(calls[0]!.progress).toEqual([])
  expect(calls[1]!.progress[0]).toEqual({ progress: 0, total: 1_000 })
  expect(calls[1]!.progress.length).toBeLessThan(100)
})

test('the trace context of a call, and where it came from, are passed on', () => {
  const { fromClient, calls } = observed()
  fromClient(call(1, 'add', { _meta: { traceparent: 'mine' } }))
  fromClient(call(2, 'add', { _meta: { traceparent: 3 } }))
  expect(calls.map(({ traceparent, origin }) => [traceparent, origin])).toEqual([
    ['mine', 'ann'],
    [undefined, 'ann'],
  ])
})

test('ids of different scopes are different ids', () => {
  const { observer, fromClient, fromServer, calls } = observed()
  fromClient(call(1, 'one'), 'a')
  fromClient(call(1, 'two'), 'b')
  fromServer(answer(1, text('two')), 'b')
  observer.interrupt(failure('E_TAP_INTERRUPTED', 'gone'), { scope: 'a' })
  expect(calls.map(({ ends }) => Object.keys(ends[0]!))).toEqual([['error'], ['output']])
})

test('a list of tools is reported with its last page, with hashes in place of descriptions', () => {
  const { fromClient, fromServer, lists } = observed()
  const tool = (name: string, more: object = {}) => ({ name, inputSchema: { type: 'object' }, ...more })
  fromClient({ id: 1, method: 'initialize' })
  fromServer(answer(1, { serverInfo: { name: 'files', version: '1.2' } }))
  fromClient({ id: 2, method: 'tools/list' })
  fromServer(answer(2, { tools: [tool('write', { description: 'Writes.' })], nextCursor: 'p2' }))
  expect(lists).toEqual([])
  fromClient({ id: 3, method: 'tools/list', params: { cursor: 'p2' } })
  fromServer(answer(3, { tools: [tool('read', { annotations: { readOnlyHint: true } }), 'nonsense', {}] }))
  const digest = expect.stringMatching(/^[0-9a-f]{32}$/)
  expect(lists).toEqual([
    {
      server: { name: 'files', version: '1.2' },
      tools: [
        { name: 'read', hash: digest, annotations: { readOnlyHint: true } },
        { name: 'write', hash: digest },
      ],
    },
  ])
})

test('pages of two clients at once make one list, not two halves', () => {
  const { fromClient, fromServer, lists } = observed()
  const page = (scope: string, id: number, cursor?: string) =>
    fromClient({ id, method: 'tools/list', params: { cursor } }, scope)
  const tools = (scope: string, id: number, name: string, nextCursor?: string) =>
    fromServer(answer(id, { tools: [{ name }], ...(nextCursor && { nextCursor }) }), scope)
  page('a', 1)
  page('b', 1)
  tools('a', 1, 'x', 'p2')
  tools('b', 1, 'x', 'p2')
  page('a', 2, 'p2')
  page('b', 2, 'p2')
  tools('a', 2, 'y')
  tools('b', 2, 'y')
  expect(lists.map(({ tools: found }) => found.map(({ name }) => name))).toEqual([['x', 'y']])
})

test('other JSON, and what is not JSON, has no effect', () => {
  for (const line of ['', '{', 'null', '1', '"x"', '[1,null]', '{"jsonrpc":"2.0"', '\u0000', '[[{}]]'])
    expect([line, messagesIn(line)]).toEqual([line, []])
  const { fromClient, fromServer, calls } = observed()
  for (const strange of [
    {},
    { id: null, method: 'tools/call' },
    { id: {}, method: 'tools/call', params: { name: 'x' } },
    { id: 1, method: 'tools/call' },
    { id: 1, method: 'tools/call', params: { name: 3 } },
    { id: 1, method: 'tools/call', params: [] },
    { method: 'notifications/cancelled' },
    { method: 'notifications/progress', params: 'x' },
    { id: 9, result: 1, error: 2 },
  ]) {
    fromClient(strange)
    fromServer(strange)
  }
  expect(calls).toEqual([])
  expect(messagesIn('[{"id":1},{"id":2}]')).toHaveLength(2)
})

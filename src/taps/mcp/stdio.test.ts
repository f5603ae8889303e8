import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { PassThrough, Readable, Writable } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { until } from '../../testing/wait.ts'
import type { JsonRpcMessage } from './json-rpc.ts'
import { runBehindTap, type StdioTapOptions } from './stdio.ts'

/** A tap in front of a shell command. */
function behindTap(command: string, options: Partial<StdioTapOptions> = {}) {
  const stdin = new PassThrough()
  const stdout = new PassThrough()
  const seen: { client: JsonRpcMessage[]; server: JsonRpcMessage[]; unread: string[] } = {
    client: [],
    server: [],
    unread: [],
  }
  const ended = runBehindTap({
    command: 'sh',
    args: ['-c', command],
    env: process.env,
    stdin,
    stdout,
    fromClient: message => seen.client.push(message),
    fromServer: message => seen.server.push(message),
    requestsDurable: () => undefined,
    onUnread: why => seen.unread.push(why),
    ...options,
  })
  void ended.finally(() => stdout.end()).catch(() => {})
  return { stdin, stdout, seen, ended }
}

const large = JSON.stringify({ id: 'large', result: { text: 'é'.repeat(10_000_000) } })

test('bytes pass unchanged in both directions, and messages are read wherever chunks end', async () => {
  const { stdin, stdout, seen, ended } = behindTap('cat')
  const bytes = Buffer.concat([
    Buffer.from('{"id":1,"method":"tools/call"}\r\n\n[{"id":2},{"id":"3"}]\n{"broken\n\u0000\n'),
    randomBytes(100_000),
    Buffer.from(`\n${large}\n{"id":4}\n{"no line break":true}`),
  ])
  const received = buffer(stdout)
  for (let at = 0; at < bytes.length; at += 70_001)
    if (!stdin.write(bytes.subarray(at, at + 70_001))) await once(stdin, 'drain')
  stdin.end()
  expect((await received).equals(bytes)).toBe(true)
  expect(await ended).toEqual({ code: 0 })
  const ids = [1, 2, '3', 'large', 4]
  expect([seen.client, seen.server].map(messages => messages.map(({ id }) => id))).toEqual([ids, ids])
})

test('the exit of the server is that of the tap, also by a signal', async () => {
  expect(await behindTap('exit 3').ended).toEqual({ code: 3 })
  expect(await behindTap('kill -KILL $$').ended).toEqual({ signal: 'SIGKILL' })
  await expect(behindTap('', { command: '/no/such/server' }).ended).rejects.toThrow('ENOENT')
})

test('the end of the input reaches the server, and the rest of its output the client', async () => {
  const { stdin, stdout, ended } = behindTap('cat > /dev/null; echo "{}"; exit 7')
  stdin.end('{"id":1}\n')
  expect(await text(stdout)).toBe('{}\n')
  expect(await ended).toEqual({ code: 7 })
})

test('a client that goes away ends the output of the server', async () => {
  const { stdin, stdout, ended } = behindTap('while echo "{}"; do :; done 2>/dev/null; exit 5')
  await once(stdout, 'readable')
  stdout.destroy()
  stdin.end()
  expect(await ended).toEqual({ code: 5 })
})

test('a slow client slows the server down; nothing is kept', async () => {
  const slow = new Writable({ highWaterMark: 1, write: (_, __, done) => void setTimeout(done, 1) })
  let passed = 0
  const { ended, stdin } = behindTap('yes {} | head -c 400000', {
    stdout: slow,
    requestsDurable: () => {
      expect(slow.writableLength).toBeLessThanOrEqual(2 * 65_536)
      return undefined
    },
    fromServer: () => void passed++,
  })
  stdin.end()
  await ended
  expect(passed).toBeGreaterThan(130_000)
})

test('the server is not passed on before the request is durable', async () => {
  const durable = Promise.withResolvers<void>()
  let wasAsked = false
  const { stdin, stdout, ended } = behindTap('cat', {
    requestsDurable: () => {
      wasAsked = true
      return durable.promise
    },
  })
  stdin.end('{"id":1}\n')
  await until(() => wasAsked)
  expect(stdout.readableLength).toBe(0)
  durable.resolve()
  expect(await text(stdout)).toBe('{"id":1}\n')
  await ended
})

test('what cannot be recorded is forwarded', async () => {
  const { stdin, stdout, seen, ended } = behindTap('cat', {
    fromClient: () => {
      throw new Error('not today')
    },
  })
  stdin.end('{"id":1}\n{"id":2}\n')
  expect(await text(stdout)).toBe('{"id":1}\n{"id":2}\n')
  expect(seen.unread).toEqual(['not today', 'not today'])
  expect(seen.server).toHaveLength(2)
  await ended
})

test('signals reach the server', async () => {
  const { stdin, stdout, ended } = behindTap("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done")
  await once(stdout, 'readable')
  process.emit('SIGTERM')
  expect(await ended).toEqual({ code: 9 })
  stdin.end()
})

test('a stream of the client that fails does not end the tap', async () => {
  const failing = new Readable({ read() { this.destroy(new Error('broken')) } }) // biome-ignore format: one line
  const { ended } = behindTap('cat; exit 4', { stdin: failing })
  expect(await ended).toEqual({ code: 4 })
})

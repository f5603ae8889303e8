import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it, onTestFinished } from 'vitest'
import { boundedFetch } from './bounded-fetch.ts'
import { KnownSecrets } from '../../bus/known-secrets.ts'

it('an abort ends the stream of a response whose request was garbage-collected', async () => {
  const server = createServer((_, response) => void response.writeHead(200, { 'content-type': 'text/event-stream' }).write(': open\n\n')) // biome-ignore format: one line
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => (server.closeAllConnections(), void server.close()))
  const answered = once(server, 'request') as Promise<[unknown, ServerResponse]>
  const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  const stop = new AbortController()
  const { body } = await boundedFetch(url, new KnownSecrets())(url, { signal: stop.signal })
  const ended = once((await answered)[1], 'close')
  const read = expect(Array.fromAsync(body!)).rejects.toThrow()
  collectGarbage()
  stop.abort()
  await ended
  await read
})

function collectGarbage() {
  setFlagsFromString('--expose-gc')
  for (let i = 0; i < 3; i++) (runInNewContext('gc') as () => void)()
}

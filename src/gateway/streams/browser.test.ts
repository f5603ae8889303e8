import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { startGateway } from '../../../test/lib/gateway.ts'

const run = promisify(execFile)

/* An EventSource as browsers have it, which Node brings: in a process of its own, since it is behind a flag. */

const listener = `
  const received = []
  const note = by => event => {
    received.push([by, event.lastEventId, JSON.parse(event.data).type])
    if (JSON.parse(event.data).type !== 'last.made') return
    console.log(JSON.stringify(received))
    process.exit()
  }
  const source = new EventSource(process.argv[1])
  source.onmessage = note('onmessage')
  for (const type of ['count.made', 'last.made']) source.addEventListener(type, note('listener'))
`

async function receivedAt(query: string): Promise<unknown> {
  const { bus, url } = await startGateway()
  for (const type of ['count.made', 'order.placed', 'last.made']) await bus.publish({ type, data: null })
  const address = `${url}/events/stream?after=0${query}`
  const { stdout } = await run(process.execPath, ['--experimental-eventsource', '-e', listener, address])
  return JSON.parse(stdout)
}

test('a browser receives the types that it names', async () => {
  expect(await receivedAt('')).toEqual([
    ['listener', '1', 'count.made'],
    ['listener', '3', 'last.made'],
  ])
})

test('with as=message onmessage receives every type', async () => {
  expect(await receivedAt('&as=message')).toEqual([
    ['onmessage', '1', 'count.made'],
    ['onmessage', '2', 'order.placed'],
    ['onmessage', '3', 'last.made'],
  ])
})

import { expect, onTestFinished, test } from 'vitest'
import { answerTo } from '../../bus/answer.ts'
import { Bus } from '../../bus/bus.ts'
import { operationCompletedType, operationRequestedType } from '../../tasks/operation.ts'
import { MemoryDriver } from '../../testing/memory/driver.ts'
import { MemoryLog } from '../../testing/memory/log.ts'
import { collect, until } from '../../testing/wait.ts'
import { WebHandler } from '../web-handler.ts'

test('Prefer: wait answers when the operation has ended, however many wait for it', { timeout: 30_000 }, async () => {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const handler = await WebHandler.open(bus, undefined)
  onTestFinished(() => handler.close())
  const send = (path: string, init: RequestInit = {}) =>
    handler.fetch(
      new Request(`http://localhost/operations${path}`, {
        ...init,
        headers: { 'content-type': 'application/json', prefer: 'wait=60' },
      }),
    )
  const posted = send('', { method: 'POST', body: JSON.stringify({ action: 'pause', kind: 'agent', name: 'helper' }) })
  const requested = await until(async () =>
    (await collect(bus.read({}))).find(({ event }) => event.type === operationRequestedType),
  )
  const others = [send(`/${requested.event.id}`), send(`/${requested.event.id}`)]
  await bus.publish(answerTo(requested.event, '/operations', operationCompletedType, { found: 1, done: 1 }))
  for (const response of await Promise.all([posted, ...others]))
    expect([response.status, await response.json()]).toMatchObject([200, { status: 'completed', result: { done: 1 } }])
})

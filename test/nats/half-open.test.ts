import { expect, test } from 'vitest'
import { until } from '../../src/testing/wait.ts'
import { describeNatsServer } from '../lib/nats.ts'
import { ended } from '../lib/world.ts'
import { double, steps } from './lib/apps.ts'
import { entry, expectStored, isUp, open, wire, worker } from './lib/broker.ts'

describeNatsServer('a wire that', () => {
  test('holds everything back is detected, and publishers fail within their time limit', async () => {
    const { direct, proxy, url } = await wire()
    const running = await worker(url, [steps, double])
    const log = await open(direct)
    await isUp(running)
    const sent = entry()
    proxy.freeze()
    const began = performance.now()
    await expect(running.bus.driver.publish([sent])).rejects.toMatchObject({
      code: 'E_LOG_UNANSWERED',
      retryable: true,
    })
    expect(performance.now() - began).toBeLessThan(9_000)
    const body = JSON.stringify({ type: 'note', data: null })
    const headers = { 'content-type': 'application/json' }
    const posted = await fetch(`${running.addresses[0]}/events`, { method: 'POST', body, headers })
    expect([posted.status, await posted.json()]).toMatchObject([503, { error: { code: 'E_LOG_UNANSWERED' } }])
    const health = await running.health()
    expect([health.status, health.body.error.code]).toEqual([503, expect.stringMatching(/^E_LOG_UN/)])
    // Two pings of the client without an answer.
    await until(() => running.bus.driver.problem, { within: 16_000 })
    proxy.thaw()
    await isUp(running)
    await running.bus.driver.publish([sent])
    await expectStored(log, [sent.event.id])
    const { correlationid, id } = await running.bus.publish({ type: 'go', data: 1 })
    expect(await ended(running, correlationid, id, 20_000)).toMatchObject({ data: { output: 32 } })
  })

  test('holds everything back does not hold up a stop for longer than its bound and five seconds', async () => {
    const { proxy, url } = await wire()
    const running = await worker(url, [steps, double], { bus: `${url}/log`, stopWithin: 200 })
    await isUp(running)
    proxy.freeze()
    // A call under way would wait for its time limit, ten seconds and more.
    const published = running.bus.driver.publish([entry()]).catch((error: unknown) => error)
    const began = performance.now()
    await running.stop()
    expect(performance.now() - began).toBeLessThan(9_500)
    proxy.thaw()
    await published
  })
})

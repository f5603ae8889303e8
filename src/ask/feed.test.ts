import { expect, onTestFinished, test, vi } from 'vitest'
import { Bus } from '../bus/bus.ts'
import { TidingsError } from '../errors.ts'
import { MemoryDriver } from '../testing/memory/driver.ts'
import { MemoryLog } from '../testing/memory/log.ts'
import { CorrelationFeed } from './feed.ts'

const correlation = '0199a5ff-0000-7000-8000-000000000000'

function feeding() {
  const bus = new Bus(new MemoryDriver(new MemoryLog()))
  const feed = new CorrelationFeed(bus)
  onTestFinished(() => feed.close())
  const publish = (n: number) => bus.publish({ type: 'count.made', correlationid: correlation, data: n })
  return { bus, feed, publish }
}

/** The first reading ends after one event. */
function failOnce({ driver }: Bus, error: TidingsError) {
  const read = driver.read.bind(driver)
  vi.spyOn(driver, 'read').mockImplementationOnce(async function* (query) {
    for await (const entry of read(query)) {
      yield entry
      throw error
    }
  })
}

test('a reader waits while the broker does not answer, and gets every event once', async () => {
  const { bus, feed, publish } = feeding()
  for (const n of [1, 2]) await publish(n)
  failOnce(bus, new TidingsError('E_LOG_UNANSWERED', 'busy', { retryable: true }))
  const reading = feed.read(correlation)
  const next = async () => (await reading.next()).value!.event.data
  expect([await next(), await next()]).toEqual([1, 2])
  await publish(3)
  expect(await next()).toBe(3)
  await reading.return(undefined)
})

test('a reader ends with an error that a retry does not help against', async () => {
  const { bus, feed, publish } = feeding()
  await publish(1)
  failOnce(bus, new TidingsError('E_LOG_VERSION', 'broken'))
  const reading = feed.read(correlation)
  await reading.next()
  await expect(reading.next()).rejects.toMatchObject({ code: 'E_LOG_VERSION' })
})

import { expect } from 'vitest'
import { collect, until } from '../wait.ts'
import { done, entries, entry, ids } from './entries.ts'
import type { Cases } from './world.ts'

const within = 30_000

export const steady: Cases = {
  'a log in use has no problem, and is not reported as emptied': async world => {
    const driver = await world.open()
    let emptied = 0
    const off = driver.onEmptied?.(() => emptied++)
    const member = await world.join(driver, { on: () => done })
    await driver.publish(entries(3))
    await until(() => member.deliveries.length === 3)
    await driver.purge({ maxAgeMs: 1, maxLag: 1_000 })
    await world.close(await world.open())
    expect(driver.problem).toBeUndefined()
    expect(emptied).toBe(0)
    off?.()
  },
}

/** Cases that need a broker that can be stopped. */
export const outages: Cases = {
  'the problem says why while the broker is away, and is gone when it is back with its data': async world => {
    const driver = await world.open()
    let emptied = 0
    driver.onEmptied?.(() => emptied++)
    const [before, after] = [entry(), entry()]
    await driver.publish([before])
    await world.broker!.stop()
    expect(await until(() => driver.problem, { within })).toMatchObject({ code: 'E_LOG_UNAVAILABLE', retryable: true })
    await world.broker!.start({ empty: false })
    await until(() => driver.problem === undefined, { within })
    await until(() => driver.publish([after]).catch(() => undefined), { within })
    expect(ids(await collect(driver.read({}))).toSorted()).toEqual(ids([before, after]).toSorted())
    expect(emptied).toBe(0)
  },

  'a broker that comes back empty is reported once to each listener, and its log is ready': async world => {
    const driver = await world.open()
    const calls = { first: 0, second: 0, removed: 0 }
    driver.onEmptied!(() => calls.first++)
    driver.onEmptied!(() => calls.second++)
    driver.onEmptied!(() => calls.removed++)()
    const member = await world.join(driver, { on: () => done })
    await driver.publish(entries(3))
    await until(() => member.deliveries.length === 3)
    await driver.putDocument('place', 'before', 0)
    await world.broker!.stop()
    await world.broker!.start({ empty: true })
    await until(() => calls.first > 0 && calls.second > 0, { within })
    expect(driver.problem).toBeUndefined()
    expect(await driver.getDocument('place')).toBeUndefined()
    const sent = entries(3)
    await driver.publish(sent)
    await until(() => member.deliveries.length === 6, { within })
    expect(ids(member.deliveries.slice(3)).toSorted()).toEqual(ids(sent).toSorted())
    expect(ids(await collect(driver.read({}))).toSorted()).toEqual(ids(sent).toSorted())
    expect(calls).toEqual({ first: 1, second: 1, removed: 0 })
  },
}

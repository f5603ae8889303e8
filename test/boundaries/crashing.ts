import { Socket } from 'node:net'
import type { BlobStore, Driver } from '../../src/bus/driver.ts'

/*
 * A worker that is killed at its n-th boundary. There is a boundary before and after each write to the driver or, between a driver
 * and its broker, before each write to the socket.
 */

/** When the inputs of a turn are settled apart from the turn, which must lead to faults. */
export type Split = 'before' | 'after'

const writes = new Set(['publish', 'commit', 'claim', 'putDocument', 'subscribe', 'createGroup', 'redeliver'])

export class Boundaries {
  #passed = 0
  readonly #fatal: number

  constructor(fatal: number) {
    this.#fatal = fatal
  }

  pass(): void {
    if (++this.#passed === this.#fatal) process.kill(process.pid, 'SIGKILL')
  }

  async around<T>(write: () => Promise<T>): Promise<T> {
    this.pass()
    const result = await write()
    this.pass()
    return result
  }
}

/** The driver, with a boundary before and after each write. */
export function crashing(driver: Driver, boundaries: Boundaries, split?: Split): Driver {
  const around = boundaries.around.bind(boundaries)
  const own: Partial<Driver> = {
    subscribe: subscription =>
      around(() =>
        driver.subscribe({
          ...subscription,
          onDelivery(delivery) {
            const settle = delivery.settle.bind(delivery)
            delivery.settle = (outcome, events) => around(() => settle(outcome, events))
            subscription.onDelivery(delivery)
          },
        }),
      ),
    ...(split && {
      async commit(commit) {
        const settle = () => Promise.all(commit.settle.map(({ delivery, outcome }) => delivery.settle(outcome)))
        // What is settled is written down later: a look at the groups sees to it.
        if (split === 'before' && (await settle()).length > 0) await driver.listGroups()
        const result = await around(() => driver.commit({ ...commit, settle: [] }))
        if (split === 'after' && result === 'accepted') await settle()
        return result
      },
    }),
  }
  return new Proxy(driver, {
    get(_, name) {
      if (Object.hasOwn(own, name)) return Reflect.get(own, name)
      if (name === 'blobs')
        return {
          put: (tenant, bytes) => around(() => driver.blobs!.put(tenant, bytes)),
          get: (tenant, ref) => driver.blobs!.get(tenant, ref),
        } satisfies BlobStore
      const value: unknown = Reflect.get(driver, name, driver)
      if (typeof value !== 'function') return value
      const method = value.bind(driver) as (...args: unknown[]) => Promise<unknown>
      return writes.has(String(name)) ? (...args: unknown[]) => around(() => method(...args)) : method
    },
  })
}

/** Adds a boundary before each write to a socket. */
export function crashingSockets(boundaries: Boundaries): void {
  const { write } = Socket.prototype
  Socket.prototype.write = function (this: Socket, ...args: Parameters<typeof write>) {
    boundaries.pass()
    return write.apply(this, args)
  } as typeof write
}

import type { Driver } from '../../src/bus/driver.ts'

/** A driver that hands everything out so many times, each copy after a delay of the property's choosing. */
export function disordered(driver: Driver, copies: number, delay: () => number): Driver {
  const subscribe: Driver['subscribe'] = subscription =>
    driver.subscribe({
      ...subscription,
      onDelivery(delivery) {
        for (let copy = 0; copy < copies; copy++) setTimeout(() => subscription.onDelivery(delivery), delay())
      },
    })
  return new Proxy(driver, {
    get(target, name) {
      if (name === 'subscribe') return subscribe
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

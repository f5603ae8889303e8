import type { Delivery, Driver } from '../../src/bus/driver.ts'

/** A driver whose deliveries go through `onDelivery`, which hands them on. */
export function intercepted(driver: Driver, onDelivery: (delivery: Delivery, handOn: () => void) => void): Driver {
  const subscribe: Driver['subscribe'] = subscription =>
    driver.subscribe({
      ...subscription,
      onDelivery: delivery => onDelivery(delivery, () => subscription.onDelivery(delivery)),
    })
  return new Proxy(driver, {
    get(target, name) {
      if (name === 'subscribe') return subscribe
      const value = Reflect.get(target, name) as unknown
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

/** A driver that hands everything out so many times, each copy after a delay of the property's choosing. */
export const disordered = (driver: Driver, copies: number, delay: () => number): Driver =>
  intercepted(driver, (_, handOn) => {
    for (let copy = 0; copy < copies; copy++) setTimeout(handOn, delay())
  })

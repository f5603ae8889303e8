import type { Driver } from '../../bus/driver.ts'
import { openWithTurns, type NatsDriverOptions } from './open.ts'
import { Turns } from './turns.ts'

export type { NatsDriverOptions } from './open.ts'

/**
 * Opens a log on NATS JetStream.
 * @throws E_SETTING_INVALID, E_LOG_UNAVAILABLE, E_BUS_DENIED, E_BUS_VERSION
 * @example
 * import { openNats } from 'tidings/drivers/nats'
 * const running = await start(shop, { driver: await openNats({ url: 'nats://localhost:4222/shop' }) })
 */
export const openNats = (options: NatsDriverOptions): Promise<Driver> =>
  openWithTurns(options, context => new Turns(context))

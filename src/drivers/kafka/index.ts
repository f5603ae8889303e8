import type { Driver } from '../../bus/driver.ts'
import { openKafkaDriver, type KafkaDriverOptions } from './open.ts'

export type { KafkaDriverOptions } from './open.ts'

/**
 * Opens a log on Kafka.
 * @throws E_SETTING_INVALID, E_LOG_UNAVAILABLE, E_BUS_DENIED, E_INDEX_UNAVAILABLE
 * @example
 * import { openKafka } from 'tidings/drivers/kafka'
 * const running = await start(shop, { driver: await openKafka({ url: 'kafka://localhost:9092/shop' }) })
 */
export const openKafka = (options: KafkaDriverOptions): Promise<Driver> => openKafkaDriver(options)

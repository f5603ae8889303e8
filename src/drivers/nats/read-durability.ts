import type { Durability } from '../../bus/driver.ts'
import { shownAddress } from './address.ts'
import type { LogConnection } from './connection.ts'
import type { NatsLog } from './nats-log.ts'

/**
 * What the server says of itself: version and copies by the API; how often it syncs its files only by its monitoring
 * page, which not every server has (`monitor=http://HOST:8222` in the address).
 */
export async function readDurability(connection: LogConnection, log: NatsLog): Promise<Durability> {
  const infos = await Promise.all(log.partitions.map(stream => stream.info()))
  const copies = Math.min(...infos.map(({ config }) => config.num_replicas))
  const server = `nats-server ${connection.serverVersion}, ${copies} ${copies === 1 ? 'copy' : 'copies'}`
  const sync = await syncOf(connection)
  if (sync === 'always') return { survives: 'power', detail: `${server}, sync_interval always` }
  if (copies >= 3)
    return {
      survives: 'power',
      detail: `${server}: if the servers do not lose power together${sync ? `, sync_interval ${sync}` : ''}`,
    }
  const why = sync
    ? `sync_interval ${sync}; set it to always, or use three copies`
    : 'sync_interval is not readable; name the monitoring page (monitor=http://…:8222), or use three copies'
  return { survives: 'process', detail: `${server}, ${why}` }
}

async function syncOf(connection: LogConnection): Promise<string | undefined> {
  const { monitor } = connection.address
  if (!monitor) return undefined
  try {
    const answer = await fetch(new URL('/varz', monitor), { signal: AbortSignal.timeout(2_000) })
    const { jetstream } = (await answer.json()) as {
      jetstream?: { config?: { sync_always?: boolean; sync_interval?: number } }
    }
    if (jetstream?.config?.sync_always) return 'always'
    const interval = jetstream?.config?.sync_interval
    return interval === undefined ? undefined : `${Math.round(interval / 1e9)} s`
  } catch {
    return `unknown: ${monitor} of ${shownAddress(connection.address)} does not answer`
  }
}

import type { Driver } from '../bus/driver.ts'
import { TidingsError } from '../errors.ts'
import { didYouMean } from '../suggest.ts'

/** What a driver is opened with. */
export interface DriverAddress {
  /** `TIDINGS_BUS`: `SCHEME:…`, or the scheme alone. */
  readonly bus: string
  /** Data folder of this process, for what a driver keeps on disk. */
  readonly home: string
  /** How long to try to reach a broker, in ms. Default: as the driver decides. */
  readonly timeoutMs?: number | undefined
  /** Nothing will be written. An embedded log then opens also from a folder that cannot be written. */
  readonly readOnly?: boolean | undefined
}

/** Opens the log at an address. */
export type OpenDriver = (address: DriverAddress) => Driver | Promise<Driver>

const openers = new Map<string, OpenDriver>()

/**
 * Makes a driver known by the scheme of its address: `registerDriver('kafka', open)` serves `TIDINGS_BUS=kafka://…`. Call it
 * before `start`, for example in the module of the app. The newest registration of a scheme counts.
 * @throws E_SETTING_INVALID
 */
export function registerDriver(scheme: string, open: OpenDriver): void {
  if (!/^[a-z][a-z0-9+.-]*$/.test(scheme))
    throw new TidingsError('E_SETTING_INVALID', `"${scheme}" is not a scheme: expected lower-case words such as kafka`)
  openers.set(scheme, open)
}

export const isKnownBus = (bus: string) => openers.has(schemeOf(bus))

export const schemeOf = (bus: string) => bus.split(':', 1)[0]!

/** @throws E_BUS_UNKNOWN, and what the driver throws */
export async function openDriver(address: DriverAddress): Promise<Driver> {
  const scheme = schemeOf(address.bus)
  const open = openers.get(scheme)
  if (open) return open(address)
  const known = [...openers.keys()]
  const expected = known.map(name => (name === 'sqlite' ? name : `${name}://…`)).join(', ')
  throw new TidingsError(
    'E_BUS_UNKNOWN',
    `unknown bus "${withoutUser(address.bus)}": expected ${expected}, or leave TIDINGS_BUS unset${didYouMean(scheme, known)}`,
  )
}

/** Addresses may hold a password. */
const withoutUser = (bus: string) => (bus.includes('@') ? `${schemeOf(bus)}://${bus.split('@').at(-1)}` : bus)

// The clients of brokers load when they are needed.
registerDriver('sqlite', async ({ home, readOnly }) => {
  const { openSqlite, openSqliteReadOnly } = await import('../drivers/sqlite/index.ts')
  return readOnly ? openSqliteReadOnly(home) : openSqlite({ home })
})
for (const scheme of ['nats', 'tls'])
  registerDriver(scheme, async ({ bus, timeoutMs }) => {
    const { openNats } = await import('../drivers/nats/index.ts')
    return openNats({ url: bus, ...(timeoutMs !== undefined && { openTimeoutMs: timeoutMs }) })
  })
for (const scheme of ['kafka', 'kafkas'])
  registerDriver(scheme, async ({ bus, home, timeoutMs }) => {
    const { openKafka } = await import('../drivers/kafka/index.ts')
    return openKafka({ url: bus, home, ...(timeoutMs !== undefined && { openTimeoutMs: timeoutMs }) })
  })

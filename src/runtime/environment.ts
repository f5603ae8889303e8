import { resolve } from 'node:path'
import { TidingsError } from '../errors.ts'
import { Bus, type BusOptions } from '../bus/bus.ts'
import type { BlobStore, Driver } from '../bus/driver.ts'
import { duration, type Duration } from '../tasks/duration.ts'
import { openDriver } from './drivers.ts'
import { variables } from './variables.ts'

/** The settings from the environment: where data is stored and which ports are used. All ports are loopback by default. */
export interface Environment {
  /** Data folder. `TIDINGS_HOME`, default `./.tidings`. */
  home: string
  /** Gateway port. `TIDINGS_PORT`, default 4110. */
  port: number
  /** Address of the log: `TIDINGS_BUS`, default `sqlite`, the embedded log in `home`. */
  bus: string
  /** Address of the store for large data: `TIDINGS_BLOBS`, such as `s3://BUCKET`. Default: the blob store of the driver. */
  blobStore?: string
  /** Address that the gateway listens on. `TIDINGS_HOST`, default 127.0.0.1. */
  host: string
  /** File that says who may do what over HTTP. `TIDINGS_POLICY`, default none. */
  policy?: string
  /** Maximum time for running work to end when the app stops. `TIDINGS_STOP_WITHIN`, default 30 s. */
  stopWithin: Duration
  /** How long a failed task is on the attention list. `TIDINGS_FAILED_FOR`, default one day. */
  failedFor: Duration
}

/** @throws E_SETTING_INVALID for an invalid port or duration, or a setting of an older version */
export function environment(env: NodeJS.ProcessEnv = process.env): Environment {
  if (env.TIDINGS_APPROVERS)
    throw new TidingsError('E_SETTING_INVALID', 'TIDINGS_APPROVERS is no longer read: approvers have API keys now', {
      next: 'Set TIDINGS_POLICY to a policy file with a role that has "approve", give each approver a key (`tidings keys create ann --role approver`) and unset TIDINGS_APPROVERS; docs/identity.md shows how.',
    })
  return {
    home: resolve(env.TIDINGS_HOME || variables.TIDINGS_HOME.default),
    port: portOf('TIDINGS_PORT', env.TIDINGS_PORT, variables.TIDINGS_PORT.default),
    bus: env.TIDINGS_BUS || variables.TIDINGS_BUS.default,
    ...(env.TIDINGS_BLOBS && { blobStore: env.TIDINGS_BLOBS }),
    host: env.TIDINGS_HOST || variables.TIDINGS_HOST.default,
    ...(env.TIDINGS_POLICY && { policy: resolve(env.TIDINGS_POLICY) }),
    stopWithin: duration(env.TIDINGS_STOP_WITHIN || variables.TIDINGS_STOP_WITHIN.default, 'TIDINGS_STOP_WITHIN'),
    failedFor: duration(env.TIDINGS_FAILED_FOR || variables.TIDINGS_FAILED_FOR.default, 'TIDINGS_FAILED_FOR'),
  }
}

/** The address of the log without credentials, for people. */
export const shownLog = ({ bus, home }: Pick<Environment, 'bus' | 'home'>) =>
  bus === 'sqlite' ? home : bus.replace(/^(\w+:\/\/)(?:[^@/]*@)?([^?]*).*$/, '$1$2')

export interface OpenOptions {
  /** Used instead of the one that the address names. */
  driver?: Driver | undefined
  timeoutMs?: number | undefined
  /** Writes nothing, so that an embedded log may be in a read-only folder. */
  readOnly?: boolean
}

/**
 * Opens the bus that the environment names; a broker is tried for `timeoutMs`.
 * @throws E_BUS_UNKNOWN, E_BUS_DENIED, E_BUS_VERSION, E_LOG_UNAVAILABLE, E_LOG_VERSION, E_SETTING_INVALID
 */
export async function openBus(
  { bus, home, blobStore }: Pick<Environment, 'bus' | 'home' | 'blobStore'>,
  { driver, timeoutMs, readOnly, ...options }: BusOptions & OpenOptions = {},
): Promise<Bus> {
  const blobs = options.blobs ?? (blobStore === undefined ? undefined : await blobsAt(blobStore))
  return new Bus(driver ?? (await openDriver({ bus, home, timeoutMs, readOnly })), {
    ...options,
    ...(blobs && { blobs }),
  })
}

async function blobsAt(address: string): Promise<BlobStore> {
  const { openBlobs } = await import('../blobs/open.ts')
  return openBlobs(address)
}

function portOf(name: string, value: string | undefined, fallback: number): number {
  const port = value ? Number(value) : fallback
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new TidingsError('E_SETTING_INVALID', `${name}=${value} is not a port`)
  return port
}

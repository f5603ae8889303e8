import { resolve } from 'node:path'
import { TidingsError } from '../errors.ts'
import { Bus, type BusOptions } from '../bus/bus.ts'
import type { Driver } from '../bus/driver.ts'
import { milliseconds, type Duration } from '../tasks/duration.ts'
import { openDriver } from './drivers.ts'
import { variables } from './variables.ts'

/** The contract for scripts: where data lies and which ports are used. Everything is loopback by default. */
export interface Environment {
  /** Data folder. `TIDINGS_HOME`, default `./.tidings`. */
  home: string
  /** Gateway port. `TIDINGS_PORT`, default 4110. */
  port: number
  /** SMTP port. `TIDINGS_SMTP_PORT`, default 2525. */
  smtpPort: number
  /** Address of the log: `TIDINGS_BUS`, default `sqlite`, the embedded log in `home`. */
  bus: string
  /** Path of the file of those who may answer approvals over HTTP. `TIDINGS_APPROVERS`, default nobody. */
  approvers?: string
  /** How long what is under way may take to end before a stop gives it back. `TIDINGS_STOP_WITHIN`, default 30 s. */
  stopWithin: Duration
  /** How long a task that failed is on the attention list. `TIDINGS_FAILED_FOR`, default a day. */
  failedFor: Duration
}

/** @throws E_SETTING_INVALID for a port or a duration that is none. */
export function environment(env: NodeJS.ProcessEnv = process.env): Environment {
  return {
    home: resolve(env.TIDINGS_HOME || variables.TIDINGS_HOME.default),
    port: portOf('TIDINGS_PORT', env.TIDINGS_PORT, variables.TIDINGS_PORT.default),
    smtpPort: portOf('TIDINGS_SMTP_PORT', env.TIDINGS_SMTP_PORT, variables.TIDINGS_SMTP_PORT.default),
    bus: env.TIDINGS_BUS || variables.TIDINGS_BUS.default,
    ...(env.TIDINGS_APPROVERS && { approvers: resolve(env.TIDINGS_APPROVERS) }),
    stopWithin: durationOf('TIDINGS_STOP_WITHIN', env.TIDINGS_STOP_WITHIN, variables.TIDINGS_STOP_WITHIN.default),
    failedFor: durationOf('TIDINGS_FAILED_FOR', env.TIDINGS_FAILED_FOR, variables.TIDINGS_FAILED_FOR.default),
  }
}

/** Where the log is, for people: without what is secret in an address. */
export const shownLog = ({ bus, home }: Pick<Environment, 'bus' | 'home'>) =>
  bus === 'sqlite' ? home : bus.replace(/^(\w+:\/\/)(?:[^@/]*@)?([^?]*).*$/, '$1$2')

export interface OpenOptions {
  /** Used in place of the one that the address names. */
  driver?: Driver | undefined
  timeoutMs?: number | undefined
  /** Nothing is written, so that an embedded log may lie where nothing can be. */
  readOnly?: boolean
}

/**
 * Opens the bus that the environment names; a broker is tried for `patienceMs`.
 * @throws E_BUS_UNKNOWN, E_BUS_DENIED, E_BUS_VERSION, E_LOG_UNAVAILABLE, E_LOG_VERSION, E_SETTING_INVALID
 */
export async function openBus(
  { bus, home }: Pick<Environment, 'bus' | 'home'>,
  { driver, timeoutMs, readOnly, ...options }: BusOptions & OpenOptions = {},
): Promise<Bus> {
  return new Bus(driver ?? (await openDriver({ bus, home, timeoutMs, readOnly })), options)
}

function portOf(name: string, value: string | undefined, fallback: number): number {
  const port = value ? Number(value) : fallback
  if (!Number.isInteger(port) || port < 0 || port > 65_535)
    throw new TidingsError('E_SETTING_INVALID', `${name}=${value} is not a port`)
  return port
}

function durationOf(name: string, value: string | undefined, fallback: Duration): Duration {
  const duration = (value || fallback) as Duration
  try {
    milliseconds(duration)
    return duration
  } catch {
    throw new TidingsError('E_SETTING_INVALID', `${name}=${value} is not a duration such as 30s, 10m or 2d`)
  }
}

import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { styleText } from 'node:util'
import { settledOrAborted } from '../bus/abort.ts'
import { TidingsError } from '../errors.ts'
import { usageError } from './output.ts'

/* What the commands that run a broker have in common. */

export function parsePort(text: string): number {
  const port = Number(text)
  if (Number.isInteger(port) && port > 0 && port <= 65_535) return port
  throw usageError(`--port "${text}" is not a port: expected a number from 1 to 65535`)
}

/** Brokers do not prevent two of them from using one folder. The system releases this lock when the process ends. */
export function lockFolder(folder: string, command: string): Disposable {
  const file = new DatabaseSync(join(folder, 'lock.db'))
  try {
    file.exec('begin exclusive')
  } catch (cause) {
    throw new TidingsError(
      'E_BROKER_FAILED',
      `another "${command}" uses "${folder}". Stop it, or choose another data folder with --home`,
      { cause },
    )
  }
  return { [Symbol.dispose]: () => file.close() }
}

/** A broker whose process can end. */
interface RunningBroker {
  readonly ended: Promise<void>
  log(): Promise<string>
}

/** Resolves at the signal. @throws E_BROKER_FAILED if a broker ends first. */
export async function untilStopped(
  brokers: readonly RunningBroker[],
  name: string,
  shutdown: AbortSignal,
): Promise<void> {
  const firstEnd = Promise.race(brokers.map(async broker => (await broker.ended, broker)))
  await settledOrAborted(firstEnd, shutdown)
  if (!shutdown.aborted)
    throw new TidingsError('E_BROKER_FAILED', `${name} ended unexpectedly:\n${await (await firstEnd).log()}`)
}

export const losesAtPowerCut = (why: string) =>
  `${styleText(['bold', 'yellow'], 'A PUBLISH THAT RESOLVED SURVIVES A CRASH, NOT A POWER CUT')} (${why})`

import { hash } from 'node:crypto'
import { join } from 'node:path'
import { shownLog, type Environment } from './environment.ts'

/** Where the index of a log is: beside an embedded log; for a log on a broker, under a name that is unique to the log. */
export function indexFile({ bus, home }: Pick<Environment, 'bus' | 'home'>): string {
  const address = shownLog({ bus, home })
  const digest = hash('sha256', address, 'hex').slice(0, 8)
  const name = bus === 'sqlite' ? 'embedded' : `${address.replace(/[^A-Za-z0-9]+/g, '-').slice(-64)}-${digest}`
  return join(home, 'index', `${name}.db`)
}

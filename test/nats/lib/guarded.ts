import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { connect, PermissionViolationError, type NatsConnection } from '@nats-io/transport-node'
import { onTestFinished } from 'vitest'
import { accountsFor } from '../../../deploy/partitions.ts'
import first from '../../../examples/first/app.ts'
import { type App, type Role, type RunningApp, start, type StartOptions } from '../../../src/index.ts'
import { startNats, type Nats } from '../../../src/testing/nats/start.ts'

/* The template of deploy/nats/accounts.conf, as it stands there, on a server of its own. */

export const password = (user: string) => `secret-of-${user}`

export function configuration(partitions = 1): string {
  const secret = (_: string, user: string) => JSON.stringify(password(user.toLowerCase()))
  return accountsFor(partitions).replace(/\$([A-Z]+)_PASSWORD/g, secret)
}

export interface GuardedOptions {
  /** Changes the template. */
  change?: (text: string) => string
  dataDir?: string
  /** Of the log, 1 by default. */
  partitions?: number
}

export interface Guarded extends Nats {
  readonly partitions: number
}

/** A server with the template. */
export async function guarded(options: GuardedOptions = {}): Promise<Guarded> {
  const { change = text => text, dataDir, partitions = 1 } = options
  const nats = await startNats({ config: change(configuration(partitions)), ...(dataDir && { dataDir }) })
  onTestFinished(() => nats.stop())
  return Object.assign(nats, { partitions })
}

export const urlOf = (nats: Nats, user: string) => `nats://${user}:${password(user)}@127.0.0.1:${nats.port}`

/** An app of which one role is hosted, with the rights of that role. */
export async function role(
  nats: Guarded,
  only: Role,
  hosted: App = first,
  more: Partial<StartOptions> = {},
): Promise<RunningApp> {
  const bus = `${urlOf(nats, only)}/tidings?timeout=3000&partitions=${nats.partitions}`
  const running = await start(hosted, { bus, only: [only], ...more })
  onTestFinished(() => running.stop())
  return running
}

/** A plain client that is logged in as a role. */
export async function client(nats: Nats, user: string): Promise<NatsConnection> {
  const nc = await connect({ servers: `127.0.0.1:${nats.port}`, user, pass: password(user) })
  onTestFinished(() => nc.close())
  return nc
}

/** The reply to a request, or the refusal of the server. */
export async function replyOrRefusal(nc: NatsConnection, subject: string, body = ''): Promise<string> {
  try {
    return (await nc.request(subject, body, { timeout: 3_000 })).string()
  } catch (error) {
    for (let cause = error; cause instanceof Error; cause = cause.cause)
      if (cause instanceof PermissionViolationError) return 'denied'
    throw error
  }
}

/** The first message of a subscription, or the refusal of the server. */
export async function subscribeOrRefusal(nc: NatsConnection, subject: string): Promise<string> {
  return new Promise(resolve => {
    nc.subscribe(subject, {
      callback: error => {
        if (error instanceof PermissionViolationError) resolve('denied')
      },
    })
    void nc.flush()
  })
}

/** What the server refused so far, by user. */
export async function violations(nats: Nats): Promise<string[]> {
  const lines = (await readFile(join(nats.dataDir, 'nats.log'), 'utf8')).split('\n')
  return lines.filter(line => /violation/i.test(line)).map(line => line.replace(/^.*? - /, ''))
}

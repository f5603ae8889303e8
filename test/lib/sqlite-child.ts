import type { Delivery } from '../../src/bus/driver.ts'
import { turnId, correlationOf } from '../../src/bus/ids.ts'
import { createEvent } from '../../src/event.ts'
import { openSqlite, type SqliteOptions } from '../../src/drivers/sqlite/index.ts'

/*
 * Another process for the tests of this driver. It subscribes as its argument says, reports deliveries over IPC, and executes
 * commands.
 */

export interface Role {
  readonly options: SqliteOptions
  readonly mode?: 'shared' | 'sharded'
  /** Publishes events of this many bytes until the log refuses, then reports the error. */
  readonly fill?: number
}

export type Report =
  | { kind: 'ready' }
  | { kind: 'delivery'; id: string; attempt: number; at: number }
  | { kind: 'lost'; shard: number }
  | { kind: 'commit'; result: string }
  | { kind: 'refused'; code: string; retryable: boolean; stored: number; counted: number }

export type Command = { commit: string; expect: number; settling: string } | 'close'

const role = JSON.parse(process.argv[2]!) as Role
const driver = await openSqlite(role.options)
const inFlight = new Map<string, Delivery>()
const report = (message: Report) => process.connected && process.send!(message)

const entry = (type: string, id?: string, correlationid?: string, data: unknown = null) => {
  const event = createEvent({ type, data, ...(id && { id }), ...(correlationid && { correlationid }) })
  return { event, json: JSON.stringify(event) }
}

process.on('message', (command: Command) => void execute(command))

async function execute(command: Command): Promise<void> {
  if (command === 'close') {
    process.removeAllListeners('message')
    process.disconnect()
    return driver.close()
  }
  const { commit: task, expect, settling } = command
  const turn = entry('task.turn', turnId(task, expect + 1), correlationOf(task))
  const settle = [{ delivery: inFlight.get(settling)!, outcome: { kind: 'done' as const } }]
  const result = await driver.commit({ group: 'group', task, expect, turn, events: [], settle, wake: null })
  report({ kind: 'commit', result })
}

if (role.mode)
  await driver.subscribe({
    group: 'group',
    mode: role.mode,
    filter: [{ types: ['job.>'] }],
    maxInFlight: 100,
    from: 'beginning',
    onDelivery(delivery) {
      inFlight.set(delivery.event.id, delivery)
      report({ kind: 'delivery', id: delivery.event.id, attempt: delivery.attempt, at: Date.now() })
    },
    onLost: shard => report({ kind: 'lost', shard }),
  })
report({ kind: 'ready' })
if (role.fill) await fill(role.fill)

async function fill(bytes: number): Promise<void> {
  let stored = 0
  try {
    for (;;) {
      await driver.publish([entry('job.made', undefined, undefined, 'x'.repeat(bytes))])
      stored++
    }
  } catch (error) {
    const { code, retryable } = error as { code: string; retryable: boolean }
    const counted = (await Array.fromAsync(driver.read({}))).length
    report({ kind: 'refused', code, retryable, stored, counted })
  }
}

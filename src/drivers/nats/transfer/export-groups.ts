import { setTimeout } from 'node:timers/promises'
import type { DeferredRecord, TransferRecord, UnsettledRecord } from '../../../bus/driver.ts'
import { readReason } from '../../../bus/reason.ts'
import { compileFilter } from '../../../pattern.ts'
import type { LogConnection } from '../connection.ts'
import { type DeferredDeliveries, redeliveryHeaders } from '../deferred-deliveries.ts'
import type { GroupDocument, GroupInfo, Groups } from '../groups.ts'
import { HeaderConsumer } from '../header-consumer.ts'
import type { NatsLog } from '../nats-log.ts'
import type { StoredMessage } from '../stored-message.ts'
import { readEntry } from './entry.ts'
import type { ExportedIds } from './exported-ids.ts'
import { pullPending } from './pull-pending.ts'

export interface GroupExport {
  readonly connection: LogConnection
  readonly log: NatsLog
  readonly groups: Groups
  readonly deferred: DeferredDeliveries
  readonly newInbox: () => string
}

const pageMessages = 256
/** After the time in which the server waits for an acknowledgement: its timers are coarse. */
const slackMs = 1_000

/** The groups, each with what it has not settled. */
export async function* exportNatsGroups(context: GroupExport, ids: ExportedIds): AsyncGenerator<TransferRecord> {
  const { groups, deferred } = context
  const documents = await groups.list()
  const infos = new Map<string, GroupInfo[]>()
  for (const { group, mode } of documents) infos.set(group, await groups.consumerInfos(group, mode))
  await untilGivenBack([...infos.values()].flat())
  for (const document of documents) {
    const { group, mode, filter, limit } = document
    yield { kind: 'group', group, mode, filter, ...(limit !== undefined && { limit }) }
    for (const info of infos.get(group)!) yield* unsettled(context, ids, document, info)
    for (const { id, json } of ids.unpublished()) {
      const entry = readEntry(json)
      if (entry && id === entry.event.id && compileFilter(filter)(entry.event))
        yield { kind: 'unsettled', group, entry, attempts: 0 }
    }
    for await (const { state, event, attempts, due, reason, error, key, memo } of deferred.stored(group))
      yield {
        kind: 'deferred',
        group,
        state,
        attempts,
        reason: readReason(error ?? reason),
        entry: { event, json: JSON.stringify(event) },
        ...(due !== undefined && { due }),
        ...(key && { key }),
        ...(memo !== undefined && { memo }),
      } satisfies DeferredRecord
  }
}

/** The server hands out what a dead worker held when the time for its acknowledgement is over. */
async function untilGivenBack(infos: readonly GroupInfo[]): Promise<void> {
  const waits = infos.map(({ info }) => (info.num_ack_pending > 0 ? info.config.ack_wait / 1e6 + slackMs : 0))
  await setTimeout(Math.max(0, ...waits))
}

async function* unsettled(
  context: GroupExport,
  ids: ExportedIds,
  { group, filter }: GroupDocument,
  found: GroupInfo,
): AsyncGenerator<UnsettledRecord> {
  const { log } = context
  const matches = compileFilter(filter)
  const recordOf = ({ subject, seq, header, text }: StoredMessage, delivered: number): UnsettledRecord | undefined => {
    const entry = readEntry(text())
    if (!entry) return undefined
    const isRedelivery = subject.startsWith(`${log.names.log}.r.`)
    // An id may be on the log twice: a group settles each, and only the first is exported.
    if (!isRedelivery && (!matches(entry.event) || ids.seenAt(entry.event.id)?.offset !== seq)) return undefined
    const memo = isRedelivery ? header(redeliveryHeaders.memo) : ''
    const before = isRedelivery ? Number(header(redeliveryHeaders.attempt)) - 1 : 0
    return { kind: 'unsettled', group, entry, attempts: before + delivered, ...(memo && { memo }) }
  }
  const pulled = new Set<number>()
  for (const { message, delivered } of await pullPending(context, group, found)) {
    pulled.add(message.seq)
    const record = recordOf(message, delivered)
    if (record) yield record
  }
  for await (const message of unread(context, found)) {
    const record = pulled.has(message.seq) ? undefined : recordOf(message, 0)
    if (record) yield record
  }
}

/** What the consumer has not handed out. */
async function* unread({ connection }: GroupExport, { stream, info }: GroupInfo): AsyncGenerator<StoredMessage> {
  if (info.num_pending === 0) return
  const { filter_subjects, filter_subject } = info.config
  let from = info.delivered.stream_seq + 1
  for (;;) {
    const consumer = await connection.retryUntilAnswered(() =>
      HeaderConsumer.open(connection, stream, {
        headers_only: false,
        deliver_policy: 'by_start_sequence',
        opt_start_seq: from,
        filter_subjects: filter_subjects ?? [filter_subject!],
      }),
    )
    try {
      for (let isLast = false; !isLast && !consumer.isBroken; ) {
        const page = await consumer.next(pageMessages)
        for (const message of page.messages) {
          from = message.seq + 1
          yield message
        }
        isLast = page.isLast
      }
    } finally {
      consumer.close()
    }
    if (!consumer.isBroken) return
  }
}

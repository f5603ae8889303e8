import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { correlationOf } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import { cancelTask } from '../runtime/operations/cancel-task.ts'
import { dismissFailed, failedSince, listFailed } from '../trace/attention/failed-tasks.ts'
import { listAttention, nextCommands, similarityKey, type AttentionItem } from '../trace/attention/list.ts'
import { environment } from '../runtime/environment.ts'
import { shortId, shortIdOf } from '../trace/short-id.ts'
import { asTyped, dim, paint, tidings } from '../trace/paint.ts'
import { countText, elapsed, printable, shorten } from '../trace/text.ts'
import { queryIndex, queryIndexOf, resolveTask, withExistingLog } from './log.ts'
import { arrow, printResult, print, usageError, type GlobalOptions } from './output.ts'
import { summarizeCorrelations, type CorrelationSummary } from './trace.ts'

const colours = {
  dead: 'red',
  parked: 'yellow',
  delayed: 'cyan',
  overdue: 'yellow',
  unarmed: 'red',
  unhosted: 'red',
  failed: 'red',
} as const

/** No person reads more, and each entry needs a lookup. */
const maxShown = 1_000

export async function attentionCommand({ json }: GlobalOptions): Promise<void> {
  await withExistingLog(async bus => {
    const groups = new Map<string, { first: AttentionItem; more: number }>()
    let hidden = 0
    const query = queryIndexOf(bus)
    const { failed, total } = await listFailed(bus, query, { since: failedSince(environment().failedFor) })
    for await (const item of concat(listAttention(bus, query), failed)) {
      if (json) await print(JSON.stringify({ ...item, next: nextCommands(item) }))
      // Thousands may be parked under one key, or wait for one provider: they are one entry.
      const key = similarityKey(item) ?? `${groups.size}`
      const similar = groups.get(key)
      if (similar) similar.more++
      else if (groups.size < maxShown) groups.set(key, { first: item, more: 0 })
      else hidden++
    }
    const earlier = total - failed.length
    if (json) return earlier > 0 ? print(JSON.stringify({ kind: 'failed', more: earlier })) : undefined
    const summaries = await summariesOf(bus, groups.values().map(({ first }) => first)) // biome-ignore format: one line
    for (const { first, more } of groups.values())
      await print(describeItem(first, more, summaries.get(correlationOfItem(first))).join('\n'))
    if (hidden > 0)
      await print(dim(`and ${countText(hidden, 'entry', 'entries')} more: ${tidings} attention --json lists all`))
    if (earlier > 0)
      await print(dim(`and ${countText(earlier, 'task')} more that failed earlier: ${tidings} tasks --state failed`))
    if (groups.size === 0) await print('Nothing needs attention.')
  })
}

async function* concat<T>(...all: (AsyncIterable<T> | Iterable<T>)[]): AsyncGenerator<T> {
  for (const each of all) yield* each
}

const correlationOfItem = (item: AttentionItem) =>
  'task' in item ? correlationOf(item.task) : item.event.correlationid

async function summariesOf(bus: Bus, items: Iterable<AttentionItem>): Promise<Map<string, CorrelationSummary>> {
  const correlations = [...new Set(Iterator.from(items).map(correlationOfItem))]
  if (correlations.length === 0) return new Map()
  const actions = await queryIndex(bus, index => summarizeCorrelations(bus, index.actionsOf(correlations)))
  return new Map(actions.map(action => [action.correlation, action]))
}

const indent = ' '.repeat(9)

/** An entry as lines of text. `more`: how many similar entries it stands for. */
export function describeItem(item: AttentionItem, more = 0, began?: CorrelationSummary): string[] {
  const [head, ...details] = linesOf(item, more > 0 ? [`and ${more} more like it`] : [])
  if (began?.type) {
    const beginning = [began.type, shorten(began.title ?? '', 60)].join(' ').trim()
    details.push(dim(`part of ${beginning}: ${tidings} trace ${began.correlation.slice(-6)}`))
  }
  details.push(`${arrow()} ${nextCommands(item).map(asTyped).join(dim('  or  '))}`)
  if (item.kind === 'failed' && more > 0)
    details.push(`${arrow()} ${tidings} retry --agent ${printable(item.program)} --code ${printable(item.code)}`)
  const kind = styleText(colours[item.kind], item.kind.padEnd(8))
  return [`${kind} ${head}`, ...details.map(line => indent + line)]
}

function linesOf(item: AttentionItem, similar: readonly string[]): string[] {
  if (item.kind === 'unhosted')
    return [`${printable(item.reason)} ${dim(`${countText(item.waiting, 'call')}, ${shortId(item.call, item.group)}`)}`]
  if (item.kind === 'failed') {
    const about = [item.code, `${elapsed(Date.now() - item.at)} ago`, `task ${item.task}`, ...similar]
    return [
      `${styleText('bold', printable(item.program))} ${dim(printable(about.join(', ')))}`,
      ...(item.message === '' ? [] : [shorten(printable(item.message), 200)]),
    ]
  }
  if ('task' in item) return [`task ${item.task} ${dim(describeMissedWake(item))}`]
  const { id, event, group, attempts, reason } = item
  const about = [
    `for ${group}`,
    countText(attempts, 'attempt'),
    `correlation ${event.correlationid.slice(-6)}`,
    `event ${shortIdOf(event)}`,
    ...similar,
  ]
  return [
    `${styleText('bold', `#${id}`)} ${paint(event.type)} ${dim(printable(about.join(', ')))}`,
    `${printable(reason.message)} ${dim(reason.code)}`,
  ]
}

export const itemKey = (item: AttentionItem) => `${item.kind} ${'task' in item ? item.task : item.id}`

function describeMissedWake({ kind, group, due }: Extract<AttentionItem, { kind: 'overdue' | 'unarmed' }>): string {
  if (kind === 'overdue') return `overdue by ${elapsed(Date.now() - due)}: no worker of ${group} woke it`
  return `waits until ${new Date(due).toISOString()}, but has no timer; a worker of ${group} repairs this`
}

/** `tidings attention retry ID`, `tidings attention retry --key KEY` */
export async function redeliverCommand(
  id: string | undefined,
  { key, ...options }: GlobalOptions & { key?: string },
): Promise<void> {
  if ((id === undefined) === (key === undefined))
    throw usageError(`expected one entry or one key: ${tidings} attention retry ID, or --key KEY`)
  const which = key === undefined ? { id: parseEntryId(id!) } : { key }
  const redelivered = await withExistingLog(bus => bus.redeliver(which))
  if (redelivered === 0) throw notOnList(`entry with the ${key === undefined ? `id "${id}"` : `key "${key}"`}`)
  await printResult(options, { redelivered }, [`${countText(redelivered, 'delivery', 'deliveries')} redelivered`])
}

/** `tidings attention discard ID`, or with a failed task, `tidings attention discard TASK` */
export async function discardCommand(id: string, options: GlobalOptions): Promise<void> {
  // Ids may be shortened to their last four characters.
  if (!isEntryId(id) && id.length >= 4) {
    const task = await withExistingLog(async bus => {
      const found = await resolveTask(bus, id)
      return (await dismissFailed(bus, queryIndexOf(bus), found, '/cli')) ? found : undefined
    })
    if (task === undefined) throw notOnList(`failed task "${id}"`)
    return printResult(options, { discarded: task }, [
      `task ${task} is removed from the list; its events stay on the log`,
    ])
  }
  const entry = parseEntryId(id)
  if (!(await withExistingLog(bus => bus.discard(entry)))) throw notOnList(`entry with the id "${id}"`)
  await printResult(options, { discarded: entry }, [`#${entry} is removed from the list; its event stays on the log`])
}

export async function cancelCommand(text: string, options: GlobalOptions & { reason?: string }): Promise<void> {
  const { reason = 'cancelled on the command line' } = options
  const { task, program } = await withExistingLog(async bus => {
    const task = await resolveTask(bus, text)
    return { task, program: await cancelTask(bus, task, { source: '/cli', reason }) }
  })
  await printResult(options, { task, program, asked: 'agent.cancel' }, [
    `asked ${program} to cancel the task, with its open calls and children`,
    dim(`  to see what follows: ${tidings} trace ${correlationOf(task)}`),
  ])
}

const notOnList = (what: string) =>
  new TidingsError('E_NOT_FOUND', `the attention list has no ${what}`, {
    next: '`tidings attention` shows the list. The entry may have been settled since you saw it.',
  })

const isEntryId = (id: string) => /^#?\d{1,15}$/.test(id)

function parseEntryId(id: string): string {
  if (!isEntryId(id))
    throw usageError(`"${id}" is not the number of a delivery. For a failed task: ${tidings} retry ${id}`)
  return id.replace('#', '')
}

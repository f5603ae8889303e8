import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { correlationOf } from '../bus/ids.ts'
import { TidingsError } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import type { Turn } from '../tasks/program.ts'
import { turnType } from '../tasks/turn.ts'
import { shortId } from '../trace/short-id.ts'
import { count, dim, elapsed, paint, printable, shorten } from '../trace/text.ts'
import { listAttention, nextCommands, type AttentionItem } from './attention-list.ts'
import { dismissFailed, listFailed } from './failed-tasks.ts'
import { queryIndex, resolveTask, withExistingLog } from './log.ts'
import { printResult, print, type GlobalOptions } from './output.ts'
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

/** A person reads no more; what each of them is part of must be looked up. */
const maxShown = 1_000

/** `tidings attention` */
export async function attentionCommand({ json }: GlobalOptions): Promise<void> {
  await withExistingLog(async bus => {
    const alike = new Map<string, { first: AttentionItem; more: number }>()
    let left = 0
    const { failed, total } = await listFailed(bus)
    for await (const matter of concat(listAttention(bus), failed)) {
      if (json) await print(JSON.stringify({ ...matter, next: nextCommands(matter) }))
      // Thousands may be parked under one key, or wait for one provider: they are one matter.
      const key = similarityKey(matter) ?? `${alike.size}`
      const same = alike.get(key)
      if (same) same.more++
      else if (alike.size < maxShown) alike.set(key, { first: matter, more: 0 })
      else left++
    }
    if (json)
      return failed.length < total ? print(JSON.stringify({ kind: 'failed', more: total - failed.length })) : undefined
    const beginnings = await summariesOf(
      bus,
      [...alike.values()].map(({ first }) => first),
    )
    for (const { first, more } of alike.values())
      await print(describeItem(first, more, beginnings.get(correlationOfItem(first))).join('\n'))
    if (left > 0) await print(dim(`and ${count(left, 'entry', 'entries')} more: tidings attention --json lists all`))
    if (failed.length < total)
      await print(
        dim(`and ${count(total - failed.length, 'task')} more that failed before: tidings tasks --state failed`),
      )
    if (alike.size === 0) await print('Nothing needs attention.')
  })
}

/** Those that are alike are one entry for people. */
function similarityKey(matter: AttentionItem): string | undefined {
  if (matter.kind === 'failed') return `failed ${matter.program} ${matter.code}`
  if (matter.kind === 'delayed' || (matter.kind === 'parked' && matter.key !== undefined))
    return `${matter.key ?? matter.group} ${matter.reason.code} ${matter.reason.message}`
  return undefined
}

async function* concat<T>(...all: (AsyncIterable<T> | Iterable<T>)[]): AsyncGenerator<T> {
  for (const each of all) yield* each
}

const correlationOfItem = (matter: AttentionItem) =>
  'task' in matter ? correlationOf(matter.task) : matter.event.correlationid

/** How that began of which each matter is a part, by correlation. */
async function summariesOf(bus: Bus, matters: readonly AttentionItem[]): Promise<Map<string, CorrelationSummary>> {
  const correlations = [...new Set(matters.map(correlationOfItem))]
  if (correlations.length === 0) return new Map()
  const actions = await queryIndex(bus, index => summarizeCorrelations(bus, index.actionsOf(correlations)))
  return new Map(actions.map(action => [action.correlation, action]))
}

/** An entry as lines for people. */
export function describeItem(matter: AttentionItem, more = 0, began?: CorrelationSummary): string[] {
  const kind = styleText(colours[matter.kind], matter.kind.padEnd(8))
  const part = began?.type
    ? [
        dim(
          `         part of ${[began.type, shorten(began.title ?? '', 60)].join(' ').trim()}: tidings trace ${began.correlation.slice(-6)}`,
        ),
      ]
    : []
  const next = `         ${styleText('cyan', '→')} ${nextCommands(matter).join(dim('  or  '))}`
  if (matter.kind === 'unhosted')
    return [
      `${kind} ${printable(matter.reason)} ${dim(`${count(matter.waiting, 'call')}, ${shortId(matter.call)}`)}`,
      ...part,
      next,
    ]
  if (matter.kind === 'failed')
    return [
      `${kind} ${styleText('bold', printable(matter.program))} ${dim(printable([matter.code, `${elapsed(Date.now() - matter.at)} ago`, `task ${matter.task}`, ...(more > 0 ? [`and ${more} more like it`] : [])].join(', ')))}`,
      ...(matter.message === '' ? [] : [`         ${shorten(printable(matter.message), 200)}`]),
      ...part,
      next,
      ...(more > 0
        ? [
            `         ${styleText('cyan', '→')} tidings retry --agent ${printable(matter.program)} --code ${printable(matter.code)}`,
          ]
        : []),
    ]
  if ('task' in matter) return [`${kind} task ${matter.task} ${dim(describeMissedWake(matter))}`, ...part, next]
  const { id, event, group, attempts, reason } = matter
  const about = [
    `for ${group}`,
    count(attempts, 'attempt'),
    `correlation ${event.correlationid.slice(-6)}`,
    `event ${shortId(event.id)}`,
    ...(more > 0 ? [`and ${more} more like it`] : []),
  ]
  return [
    `${kind} ${styleText('bold', `#${id}`)} ${paint(event.type)} ${dim(printable(about.join(', ')))}`,
    `         ${printable(reason.message)} ${dim(reason.code)}`,
    ...part,
    next,
  ]
}

export const isSameItem = (a: AttentionItem, b: AttentionItem) =>
  a.kind === b.kind && ('task' in a ? 'task' in b && a.task === b.task : 'id' in b && a.id === b.id)

function describeMissedWake({ kind, group, due }: Extract<AttentionItem, { kind: 'overdue' | 'unarmed' }>): string {
  if (kind === 'overdue') return `waits ${elapsed(Date.now() - due)} too long for a worker of ${group}`
  return `waits until ${new Date(due).toISOString()} and would not be woken; a worker of ${group} sets this right`
}

/** `tidings attention retry ID`, `tidings attention retry --key KEY` */
export async function releaseCommand(
  id: string | undefined,
  { key, ...options }: GlobalOptions & { key?: string },
): Promise<void> {
  if ((id === undefined) === (key === undefined))
    throw new TidingsError('E_USAGE', 'say which: tidings attention retry ID, or --key KEY')
  const which = key === undefined ? { id: parseEntryId(id!) } : { key }
  const released = await withExistingLog(bus => bus.release(which))
  if (released === 0)
    throw new TidingsError(
      'E_NOT_FOUND',
      `nothing on the attention list has the ${key === undefined ? `id ${id}` : `key ${key}`}`,
    )
  await printResult(options, { released }, [`${count(released, 'delivery', 'deliveries')} handed out again`])
}

/** `tidings attention discard ID`, of a task that failed `tidings attention discard TASK` */
export async function discardCommand(id: string, options: GlobalOptions): Promise<void> {
  // The end of an id has four characters at least.
  if (!isEntryId(id) && id.length >= 4) {
    const task = await withExistingLog(async bus => {
      const found = await resolveTask(bus, id)
      return (await dismissFailed(bus, found)) ? found : undefined
    })
    if (task === undefined)
      throw new TidingsError('E_NOT_FOUND', `task ${id} is not on the attention list as one that failed`)
    return printResult(options, { discarded: task }, [`task ${task} is off the list; what it did stays on the log`])
  }
  const entry = parseEntryId(id)
  if (!(await withExistingLog(bus => bus.drop(entry))))
    throw new TidingsError('E_NOT_FOUND', `nothing on the attention list has the id ${id}`)
  await printResult(options, { discarded: entry }, [`#${entry} is off the list; its event stays on the log`])
}

/** `tidings attention cancel TASK` */
export async function cancelCommand(text: string, options: GlobalOptions & { reason?: string }): Promise<void> {
  const { task, program } = await withExistingLog(async bus => {
    const task = await resolveTask(bus, text)
    return { task, program: await cancelTask(bus, task, options.reason ?? 'cancelled by hand') }
  })
  await printResult(options, { task, program, asked: 'agent.cancel' }, [
    `asked ${program} to end the task; its open calls and children end with it`,
    dim(`  what came of it: tidings trace ${correlationOf(task)}`),
  ])
}

async function cancelTask(bus: Bus, task: string, reason: string): Promise<string> {
  const { program, tenant } = await liveTask(bus, task)
  await bus.publish({
    type: 'agent.cancel',
    source: '/cli',
    tenant,
    target: program,
    subject: task,
    correlationid: correlationOf(task),
    data: { reason },
  })
  return program
}

async function liveTask(bus: Bus, task: string): Promise<{ program: string; tenant: string }> {
  let live: { program: string; tenant: string } | undefined
  for await (const { event } of bus.read({ task })) {
    if (event.type !== turnType) continue
    const { program, end } = ((await bus.resolve(event)) as CloudEvent<Turn>).data
    if (end) throw new TidingsError('E_NOT_FOUND', `the task has ended already: it is ${end}`)
    live ??= { program, tenant: event.tenant }
  }
  if (!live) throw new TidingsError('E_NOT_FOUND', `no turn of task ${task} is on the log`)
  return live
}

const isEntryId = (id: string) => /^#?\d{1,15}$/.test(id)

function parseEntryId(id: string): string {
  if (!isEntryId(id)) throw new TidingsError('E_USAGE', `"${id}" is not the number of an entry on the attention list`)
  return id.replace('#', '')
}

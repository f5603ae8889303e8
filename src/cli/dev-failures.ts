import { setTimeout } from 'node:timers/promises'
import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { parseId } from '../bus/ids.ts'
import type { ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { shortId } from '../trace/short-id.ts'
import { dim, printable } from '../trace/text.ts'
import { describeItem, isSameItem } from './attention.ts'
import { listAttention, nextCommands, type AttentionItem } from './attention-list.ts'
import { printResult, type GlobalOptions } from './output.ts'

/* What `tidings dev` prints of failures, as they happen: of each task that failed, and of each new entry of the attention list. */

const pollIntervalMs = 1_000
const failed = /^(agent\.task|tool|model)\.failed$/

/** Lines below that of an event which says that something failed: why, where in the user's code, and what to do. */
export class FailurePrinter {
  readonly #bus: Bus
  /** By correlation: what was printed last, so that a failure which is handed on is explained once. */
  readonly #explained = new Map<string, string>()

  constructor(bus: Bus) {
    this.#bus = bus
  }

  async linesOf(event: CloudEvent): Promise<string[]> {
    if (!failed.test(event.type)) return []
    const { data } = await this.#bus.resolve(event).catch(() => event)
    const { error, program } = (data ?? {}) as { error?: Partial<ErrorData> | null; program?: unknown }
    if (typeof error?.message !== 'string') return []
    const { code = '', message, next, stack } = error
    const told = `${code} ${message} ${stack}`
    const isHandedOn = this.#explained.get(event.correlationid) === told
    this.#remember(event.correlationid, told)
    const task = typeof program === 'string' ? parseId(event.id)?.task : undefined
    return [
      ...(task === undefined
        ? []
        : [`  ${styleText('red', '✖')} ${styleText('bold', `${String(program)} failed`)} ${dim(code)}`]),
      ...(isHandedOn
        ? []
        : [
            ...message.split('\n').map(line => `    ${printable(line)}`),
            ...(stack === undefined ? [] : stack.split('\n').map(line => dim(`      ${printable(line)}`))),
            ...(next === undefined ? [] : [`    ${styleText('cyan', '→')} ${printable(next)}`]),
          ]),
      ...(task === undefined
        ? []
        : [
            `    ${styleText('cyan', '→')} tidings trace ${event.correlationid.slice(-6)}${dim('  or  ')}tidings show ${shortId(task)}${dim('  or, once it is fixed,  ')}tidings retry ${shortId(task)}`,
          ]),
    ]
  }

  #remember(correlation: string, told: string) {
    this.#explained.set(correlation, told)
    if (this.#explained.size > 1_000) this.#explained.delete(this.#explained.keys().next().value!)
  }
}

/** Prints what comes onto the attention list, within about a second, until the signal. */
export async function watchAttention(bus: Bus, options: GlobalOptions, signal: AbortSignal): Promise<void> {
  let known: AttentionItem[] = []
  for (let first = true; !signal.aborted; first = false) {
    const found: AttentionItem[] = []
    const begin = performance.now()
    try {
      for await (const matter of listAttention(bus)) if (found.push(matter) >= maxShown) break
    } catch {
      // The log is away: the worker says so.
      found.push(...known)
    }
    // What was there before is what `tidings attention` is for.
    if (!first)
      for (const matter of found.filter(each => !known.some(other => isSameItem(each, other))))
        await printResult(options, { event: 'attention', ...matter, next: nextCommands(matter) }, describeItem(matter))
    known = found
    // A log with very many tasks takes longer to look through: it is not kept busy by that.
    const took = performance.now() - begin
    await setTimeout(Math.max(pollIntervalMs, took * 4), undefined, { signal }).catch(() => {})
  }
}

const maxShown = 1_000

import { setTimeout } from 'node:timers/promises'
import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { parseId } from '../bus/ids.ts'
import type { ErrorData } from '../errors.ts'
import type { CloudEvent } from '../event.ts'
import { listAttention, nextCommands, type AttentionItem } from '../trace/attention/list.ts'
import { shortId } from '../trace/short-id.ts'
import { asTyped, dim, tidings } from '../trace/paint.ts'
import { printable } from '../trace/text.ts'
import { describeItem, itemKey } from './attention.ts'
import { queryIndexOf } from './log.ts'
import { arrow, printResult, type GlobalOptions } from './output.ts'

/* What `tidings dev` prints about failures: each failed task, and each new entry of the attention list. */

const pollIntervalMs = 1_000
const failed = /^(agent\.task|tool|model)\.failed$/

/** Explains a failure below its event: why, where in the user's code, and what to do next. */
export class FailurePrinter {
  readonly #bus: Bus
  /** By correlation: the last printed failure, so that one that reaches several callers is explained once. */
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
    const text = `${code} ${message} ${stack}`
    const isRepeated = this.#explained.get(event.correlationid) === text
    this.#remember(event.correlationid, text)
    const task = typeof program === 'string' ? parseId(event.id)?.task : undefined
    const reason = [
      ...message.split('\n').map(line => `    ${printable(line)}`),
      ...(stack === undefined ? [] : stack.split('\n').map(line => dim(`      ${printable(line)}`))),
      ...(next === undefined ? [] : [`    ${arrow()} ${asTyped(printable(next))}`]),
    ]
    const details = isRepeated ? [] : reason
    if (task === undefined) return details
    const short = shortId(task, String(program))
    const look = `${tidings} trace ${event.correlationid.slice(-6)}${dim('  or  ')}${tidings} show ${short}`
    return [
      `  ${styleText('red', '✖')} ${styleText('bold', `${String(program)} failed`)} ${dim(code)}`,
      ...details,
      `    ${arrow()} ${look}${dim('  or, after a fix,  ')}${tidings} retry ${short}`,
    ]
  }

  #remember(correlation: string, text: string) {
    this.#explained.set(correlation, text)
    if (this.#explained.size > 1_000) this.#explained.delete(this.#explained.keys().next().value!)
  }
}

/** Prints new entries of the attention list, within about a second, until the signal aborts. */
export async function watchAttention(bus: Bus, options: GlobalOptions, signal: AbortSignal): Promise<void> {
  let known: ReadonlySet<string> | undefined
  while (!signal.aborted) {
    const found: AttentionItem[] = []
    const begin = performance.now()
    try {
      for await (const item of listAttention(bus, queryIndexOf(bus))) if (found.push(item) >= maxShown) break
      // Older entries are left to `tidings attention`.
      for (const item of found)
        if (known && !known.has(itemKey(item)))
          await printResult(options, { event: 'attention', ...item, next: nextCommands(item) }, describeItem(item))
      known = new Set(found.map(itemKey))
    } catch {
      // The log is unavailable; the worker reports that.
    }
    // Reading a very large log takes longer: poll it less often.
    const took = performance.now() - begin
    await setTimeout(Math.max(pollIntervalMs, took * 4), undefined, { signal }).catch(() => {})
  }
}

const maxShown = 1_000

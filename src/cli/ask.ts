import { styleText } from 'node:util'
import { Client } from '../ask/client.ts'
import type { Bus } from '../bus/bus.ts'
import type { StreamPart } from '../ask/parts.ts'
import type { TaskHandle } from '../ask/handle.ts'
import type { ApprovalDecision } from '../tasks/approval.ts'
import type { Duration } from '../tasks/duration.ts'
import { hasWorker } from '../tasks/hosts.ts'
import { dim, tidings } from '../trace/paint.ts'
import { preview, printable } from '../trace/text.ts'
import { withLog } from './log.ts'
import { arrow, print, shutdownSignal, type GlobalOptions } from './output.ts'

const hintDelayMs = 2_000

export interface AskCommandOptions extends GlobalOptions {
  thread?: string
  key?: string
  deadline?: Duration
}

/** `tidings ask AGENT INPUT`: exit code 1 if the task fails. */
export async function askCommand(agent: string, input: string, options: AskCommandOptions): Promise<void> {
  const { json, thread, key, deadline } = options
  const shutdown = shutdownSignal()
  await withLog(async bus => {
    const client = new Client(bus)
    const handle = await client.ask(agent, inputOf(input), {
      ...(thread !== undefined && { thread }),
      ...(key !== undefined && { idempotencyKey: key }),
      ...(deadline !== undefined && { deadline }),
    })
    shutdown.addEventListener('abort', () => client.close())
    const hint = setTimeout(() => void warnIfUnhosted(bus, agent).catch(() => {}), hintDelayMs)
    try {
      if (json) await printParts(handle)
      else await new PartPrinter().print(handle)
    } catch (error) {
      if (!shutdown.aborted) throw error
      if (!json) await print(dim(`\nthe task goes on: ${tidings} trace ${handle.correlation}`))
    } finally {
      clearTimeout(hint)
      client.close()
    }
  })
}

/** The request is on the log and waits; a person should know for what. */
async function warnIfUnhosted(bus: Bus, agent: string): Promise<void> {
  if (await hasWorker(bus, 'agent', agent)) return
  process.stderr.write(
    `${styleText('yellow', '●', { stream: process.stderr })} no worker that hosts "${printable(agent)}" is running; the request waits on the log\n  Start one: \`${tidings} run\`. Ctrl-C leaves the request there.\n`,
  )
}

/** JSON, or text that is not JSON. */
function inputOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function printParts(handle: TaskHandle): Promise<void> {
  await print(JSON.stringify({ type: 'asked', task: handle.id, correlation: handle.correlation }))
  for await (const part of handle.stream()) await print(JSON.stringify(part))
  await print(JSON.stringify({ type: 'result', output: await handle.result() }))
}

/** Prints a task as it runs: text as it arrives, everything else as one dim line. */
class PartPrinter {
  /** What was printed last, if it is a text of a model: it may be the result. */
  #text = ''
  #call: string | undefined

  async print(handle: TaskHandle): Promise<void> {
    for await (const part of handle.stream())
      if (part.type === 'text') this.#printText(part)
      else if (part.type === 'restart') this.#restart(part.kind === 'text' ? part.call : undefined)
      else if (!isSilent(part)) {
        this.#endLine()
        this.#text = ''
        await print(lineOf(part))
      }
    this.#endLine()
    const output = await handle.result()
    if (output !== this.#text) await print(typeof output === 'string' ? output : JSON.stringify(output, null, 2))
  }

  #printText({ call, text }: StreamPart & { type: 'text' }) {
    if (call !== this.#call) this.#restart(this.#call)
    this.#call = call
    this.#text += text
    process.stdout.write(printableText(text))
  }

  /** The text of this call begins again on a new line. */
  #restart(call: string | undefined) {
    if (call !== this.#call) return
    this.#endLine()
    this.#text = ''
  }

  #endLine() {
    if (this.#call !== undefined && !this.#text.endsWith('\n')) process.stdout.write('\n')
    this.#call = undefined
  }
}

/** Line breaks stay; other control characters could move the cursor. */
const printableText = (text: string) => text.split('\n').map(printable).join('\n')

type SilentPart = Extract<StreamPart, { type: 'reasoning' | 'tool-input' | 'finish' | 'state' }>

/** What comes with another part, or is not for a terminal. */
const isSilent = (part: StreamPart): part is SilentPart =>
  part.type === 'reasoning' || part.type === 'tool-input' || part.type === 'finish' || part.type === 'state'

function lineOf(part: Exclude<StreamPart, SilentPart | { type: 'text' | 'restart' }>): string {
  if (part.type === 'event') return dim(`· ${part.event.type} ${preview(part.event.data)}`)
  const name = printable(part.name)
  if (part.type === 'call') return dim(`→ ${name} ${preview(part.input)}`)
  if (part.type === 'progress') return dim(`… ${name} ${preview(part.data)}`)
  if (part.type === 'approval')
    return `${arrow()} "${name}" must decide: ${preview(part.what)}\n  ${tidings} approve ${part.call}   or   ${tidings} deny ${part.call}`
  if (part.isApproval && part.output) return decisionLine(name, part.output as ApprovalDecision)
  if (part.error) return `${styleText('red', '✖')} ${dim(`${name} ${part.error.code}: ${preview(part.error.message)}`)}`
  return dim(`← ${name} ${preview(part.output)}`)
}

function decisionLine(name: string, { approved, by, comment }: ApprovalDecision): string {
  const decision = `${by} ${approved ? 'approved' : 'denied'} "${name}"${comment === undefined ? '' : `: ${comment}`}`
  return `${styleText(approved ? 'green' : 'red', approved ? '✔' : '✖')} ${dim(printable(decision))}`
}

import { join } from 'node:path'
import type { CloudEvent } from '../../src/event.ts'
import { openBus } from '../../src/runtime/environment.ts'
import { tidings } from '../lib/cli.ts'
import { keysIn } from '../tap-trial/keys.ts'
import { readLog, type RecordedModelCall } from '../tap-trial/record.ts'
import { Tap } from '../tap-trial/tap.ts'
import { startHarbour } from './provider.ts'
import { clientNames, runClient } from './run.ts'

export interface TapClientsOptions {
  readonly home: string
  readonly bus: string
  /** More folders in which the key of the clients may not be. */
  readonly folders?: readonly string[]
  print(text: string): void
}

/** Is asked three times, and is three conversations. */
const repeated = 'with langgraph?'
/** Questions that clients ask, and how many calls of a model each takes. */
const chains: Readonly<Record<string, number>> = {
  [repeated]: 3,
  'with langgraph streaming?': 3,
  'python chat?': 3,
  'python stream?': 1,
  'python responses?': 3,
  'python responses stream?': 1,
  'Is anybody there?': 1,
  'ai-sdk responses?': 3,
  'ai-sdk responses streaming?': 3,
  'ai-sdk chat?': 3,
  'ai-sdk chat streaming?': 3,
  'ai-sdk anthropic?': 3,
  'ai-sdk anthropic streaming?': 3,
}
const main = join(import.meta.dirname, '../../src/cli/main.ts')
const name = 'clients'
const prices = ['--price', 'gpt-5.2*=1,10']

/** What is wrong with how the clients went through the tap, or with what is on the log about them. */
export async function tapClients({ home, bus: address, folders = [], print }: TapClientsOptions): Promise<string[]> {
  await using harbour = await startHarbour()
  const place = { home, bus: address }
  const tap = await Tap.start(
    port => [main, 'tap', 'openai', '--upstream', harbour.url, '--port', String(port), '--name', name, ...prices],
    { TIDINGS_HOME: home, TIDINGS_BUS: address },
  )
  try {
    const base = `http://127.0.0.1:${tap.port}`
    for (const client of clientNames) print(`── ${client}\n${await runClient(client, base)}`)
    // The same question, from two at the same time.
    await Promise.all([runClient('langgraph', base), runClient('langgraph', base)])
  } finally {
    await tap.end('SIGTERM')
  }
  const bus = await openBus(place)
  try {
    const { calls } = await readLog(bus, name)
    const faults = calls
      .filter(({ answers }) => answers.length !== 1)
      .map(({ request, answers }) => `${answers.length} ends of ${request.id}`)
    const all: CloudEvent[] = []
    for await (const { event } of bus.read({})) all.push(await bus.resolve(event))
    for (const [question, wanted] of Object.entries(chains))
      faults.push(...(await chainFaults(question, wanted, { all, calls, place, print })))
    faults.push(...(await show(['find', 'langgraph', 'streaming'], 'gpt-5.2', { place, print })))
    const costs = calls.filter(({ answers: [answer] }) => (answer?.data as { cost?: number } | undefined)?.cost)
    if (costs.length === 0) faults.push('no call has a cost')
    return [...faults, ...(await keysIn([home, ...folders], /Tap7Secret/))]
  } finally {
    await bus.close()
  }
}

interface Evidence {
  readonly all: readonly CloudEvent[]
  readonly calls: readonly RecordedModelCall[]
  readonly place: { readonly home: string; readonly bus: string }
  print(text: string): void
}

/** A question, the calls and their answers are one correlation, in order, and the command finds and explains them. */
async function chainFaults(
  question: string,
  wanted: number,
  { all, calls, place, print }: Evidence,
): Promise<string[]> {
  const asked = new Set(
    all.filter(({ data }) => JSON.stringify(data ?? null).includes(question)).map(({ correlationid }) => correlationid),
  )
  const times = question === repeated ? 3 : 1
  const found = asked.size === times ? [] : [`"${question}" is in ${asked.size} correlations in place of ${times}`]
  for (const correlation of asked)
    found.push(...(await correlationFaults(correlation, question, wanted, { all, calls, place, print })))
  return found
}

async function correlationFaults(
  correlation: string,
  question: string,
  wanted: number,
  { calls, place, print }: Evidence,
): Promise<string[]> {
  const own = calls.filter(({ request }) => request.correlationid === correlation)
  const found: string[] = []
  if (own.length !== wanted)
    found.push(`"${question}": ${own.length} calls are in its correlation in place of ${wanted}`)
  const uses = own.map(({ answers: [answer] }) =>
    ((answer?.data as { toolCalls?: { toolName: string }[] } | undefined)?.toolCalls ?? [])
      .map(({ toolName }) => toolName)
      .join(),
  )
  const order = wanted === 3 ? ['tide_table', 'free_berth', ''] : ['']
  if (uses.join(' ') !== order.join(' ')) found.push(`"${question}": the calls of tools are ${uses.join(', ')}`)
  const shown = (args: readonly string[], contains: string) =>
    show(args, contains, { place, print }).then(faults => found.push(...faults))
  print(`── ${question}`)
  await shown(['trace', correlation], `${wanted} ${wanted === 1 ? 'call' : 'calls'}`)
  if (wanted !== 3) return found
  await shown(['why', own.at(-1)!.answers[0]!.id], 'tide_table')
  return found
}

/** Runs the command and prints what it prints; a fault if that lacks a text. */
async function show(
  args: readonly string[],
  contains: string,
  { place, print }: Pick<Evidence, 'place' | 'print'>,
): Promise<string[]> {
  const { code, stdout, stderr } = await tidings(place, args)
  print(`$ tidings ${args.join(' ')}\n${stdout}${stderr}`)
  return code === 0 && stdout.includes(contains)
    ? []
    : [`tidings ${args.join(' ')} ended with ${code} and lacks "${contains}"`]
}

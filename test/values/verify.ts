import type { CloudEvent } from '../../src/event.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import type { Turn } from '../../src/tasks/program.ts'
import { Programs } from '../../src/tasks/programs.ts'
import { emittedHash } from '../../src/tasks/turn.ts'
import { programs as definitions } from './app.ts'
import { expected, type Expected, type Program } from './language.ts'
import type { Log } from './run.ts'

type Script = Extract<Program, { kind: 'script' }>
const known = new WeakMap<Script, Promise<Expected>>()

/** The same in each mode: it is found once. */
function expectedOf(program: Script): Promise<Expected> {
  let found = known.get(program)
  if (!found) known.set(program, (found = expected(program)))
  return found
}

/** What is wrong with a log on which these programs ran. */
export async function wrongs(
  { events, correlations, unfinished }: Log,
  programs: readonly Program[],
): Promise<string[]> {
  const wrong: string[] = unfinished === undefined ? [] : [unfinished]
  const byId = new Map(events.map(({ event }) => [event.id, event]))
  const nth = new Map(correlations.map((correlation, i) => [correlation, i]))
  const report = (what: string, { correlationid }: CloudEvent) => {
    const i = nth.get(correlationid)!
    wrong.push(`program ${i}: ${what}\n${JSON.stringify(programs[i])}`)
  }
  const received = new Map<string, string[]>()
  const emits = new Map<string, string[]>()
  const output = new Map<string, string>()
  const starts = new Map<string, CloudEvent>()

  for (const { event } of events) {
    if (!starts.has(event.correlationid)) starts.set(event.correlationid, event)
    const { type, data, correlationid, causationid } = event
    if (type === 'task.turn') {
      const turn = data as Turn
      for (const input of turn.inputs) {
        const delivered = byId.get(input.id)
        // Large data lies beside the log, and not in the turn.
        const recorded = input.dataref === undefined ? JSON.stringify(input.data) : undefined
        if (!delivered) report(`turn ${event.id} took in ${input.id}, which is not on the log`, event)
        else if (recorded !== undefined && recorded !== JSON.stringify(delivered.data))
          report(`turn ${event.id} took in ${recorded}, and ${input.id} is ${JSON.stringify(delivered.data)}`, event)
      }
      for (const { id, hash } of turn.emits) {
        const emitted = byId.get(id)
        if (!emitted) report(`${id} is not on the log`, event)
        else if (hash !== emittedHash(emitted.data)) report(`the hash of ${id} is not that of its data`, event)
        else if (turn.program === 'script' && (emitted.type === 'tool.invoke' || emitted.type === 'value.said'))
          append(emits, correlationid, JSON.stringify(emitted.data))
      }
    } else if (type === 'agent.task.completed' || type === 'agent.task.failed') {
      const {
        program,
        output: returned,
        error,
      } = data as { program: string; output?: unknown; error?: { code: string } }
      const text = error?.code ?? JSON.stringify(returned)
      if (program.startsWith('ear')) append(received, byId.get(causationid!)!.id, returned as string)
      else output.set(correlationid, text)
    }
  }

  for (const { event } of events) {
    if (event.type !== 'value.said') continue
    const text = JSON.stringify(event.data)
    for (const each of received.get(event.id) ?? []) if (each !== text) report(`${each} was heard of ${text}`, event)
  }
  for (const [i, program] of programs.entries()) {
    if (program.kind !== 'script') continue
    const correlation = correlations[i]!
    const should = await expectedOf(program)
    const start = starts.get(correlation)!
    if (output.get(correlation) !== should.output)
      report(`returned ${output.get(correlation)}, not ${should.output}`, start)
    const [made, right] = [emits.get(correlation) ?? [], should.emits].map(texts => texts.toSorted().join('\n'))
    if (made !== right) report(`emitted ${made}, not ${right}`, start)
  }

  const replay = new Replayer(new Programs(definitions))
  for (const { position, event } of events) await replay.add({ partition: 0, offset: position }, event)
  const { divergences, skipped } = replay.finish()
  for (const { task, turn, kind, what } of divergences)
    report(`replay of turn ${turn}: ${kind} ${what}`, byId.get(`${task}:0000001`)!)
  for (const { task, why } of skipped) wrong.push(`replay of ${task}: ${why}`)
  return wrong
}

/** What each bare program recorded, turn by turn: the same wherever and however it ran. */
export function records({ events, correlations }: Log, programs: readonly Program[]): Map<number, string[]> {
  const nth = new Map(correlations.map((correlation, i) => [correlation, i]))
  const found = new Map<number, string[]>()
  for (const { event } of events) {
    const i = nth.get(event.correlationid)!
    if (event.type !== 'task.turn' || programs[i]!.kind !== 'bare') continue
    const { program, version, state, stateHash, emits, end, inputs } = event.data as Turn
    if (program !== 'bare') continue
    const hashes = emits.map(({ type, hash }) => `${type} ${hash}`)
    append(found, i, JSON.stringify([version, inputs.map(input => input.type), state, stateHash, hashes, end]))
  }
  return found
}

function append<K>(lists: Map<K, string[]>, key: K, value: string): void {
  const list = lists.get(key)
  if (list) list.push(value)
  else lists.set(key, [value])
}

import type { Bus } from '../../src/bus/bus.ts'
import { parseId } from '../../src/bus/ids.ts'
import { Replay } from '../../src/replay/replay.ts'
import { fromBus } from '../../src/replay/source.ts'
import { Programs } from '../../src/tasks/programs.ts'
import type { Turn } from '../../src/tasks/program.ts'
import { chargesIn, flawsOf, push, repeated } from '../kills/verify.ts'
import { endings, programs, tasks } from './story.ts'

/** What is wrong with the log of one story, for people; nothing when all is as if nobody had died. */
export async function wrongs(bus: Bus, home: string, n: number): Promise<string[]> {
  const turns = new Map<string, Turn[]>()
  const events = new Set<string>()
  const outputs = new Map<string, unknown>()
  const replay = new Replay(new Programs(programs))
  for await (const { position, event } of fromBus(bus, { all: true }).events()) {
    await replay.add(position, event)
    events.add(event.id)
    if (event.type === 'task.turn') push(turns, parseId(event.id)!.task, event.data as Turn)
    if (event.type.startsWith('agent.task.')) outputs.set(event.source, event.data)
  }
  const { forks, appliedTwice, neverApplied } = flawsOf(turns, events)
  const charges = chargesIn(home)
  const output = JSON.stringify((outputs.get('/agents/story') as { output?: unknown } | undefined)?.output)
  const parked = await Array.fromAsync(bus.driver.attention())
  const { divergences, skipped, ...replayed } = replay.finish()
  const checks: [string, boolean, unknown][] = [
    [
      'the story did not end, or otherwise',
      endings(n)
        .map(each => JSON.stringify(each))
        .includes(output),
      output,
    ],
    ['not each task ended, and once', turns.size === tasks && [...turns.values()].every(hasEnded), [...outputs.keys()]],
    ['a journal has a fork or a gap', forks.length === 0, forks],
    ['an answer was applied twice', appliedTwice.length === 0, appliedTwice],
    ['an answer was never applied', neverApplied.length === 0, neverApplied],
    ['an atMostOnce tool started twice, or never', isOnce(charges, output), charges],
    ['something waits for attention', parked.length === 0, parked.map(({ reason }) => reason)],
    [
      'replay differs',
      replayed.diverged === 0 && replayed.tasks === tasks && skipped.length === 0,
      [divergences, skipped],
    ],
  ]
  return checks.flatMap(([what, isRight, seen]) => (isRight ? [] : [`${what}: ${JSON.stringify(seen)}`]))
}

const hasEnded = (journal: Turn[]) => journal.flatMap(({ end }) => end ?? []).join() === 'completed'

/** Whoever died between the claim and the start never started it. */
const isOnce = (charges: readonly string[], output = '') =>
  repeated(charges).length === 0 && (charges.length === 1 || output.includes('E_TOOL_OUTCOME_UNKNOWN'))

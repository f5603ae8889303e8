import type { Bus } from '../../src/bus/bus.ts'
import { parseId } from '../../src/bus/ids.ts'
import type { CloudEvent } from '../../src/event.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import { sourceFromBus } from '../../src/replay/source.ts'
import { Programs } from '../../src/tasks/programs.ts'
import type { Turn } from '../../src/tasks/program.ts'
import { flawsOf, push } from '../kills/verify.ts'
import { programsOf, stories, type StoryName } from './host.ts'
import type { Check, Story } from './story.ts'

/** The faults of the log of one story; none if it is as if no worker had died. */
export async function faultsOf(bus: Bus, name: StoryName, home: string, n: number): Promise<string[]> {
  const story: Story = stories[name]
  const turns = new Map<string, Turn[]>()
  const events = new Map<string, CloudEvent>()
  const replay = new Replayer(new Programs(programsOf(name)))
  for await (const { position, event } of sourceFromBus(bus, { all: true }).events()) {
    await replay.add(position, event)
    events.set(event.id, event)
    if (event.type === 'task.turn') push(turns, parseId(event.id)!.task, event.data as Turn)
  }
  const { forks, appliedTwice, neverApplied } = flawsOf(turns, new Set(events.keys()))
  const ends = [...turns.values()].map(endOf).toSorted()
  const attention = await Array.fromAsync(bus.driver.listDeferred())
  const behind = (await bus.driver.listGroups()).filter(({ lag }) => lag > 0)
  const timers = await Array.fromAsync(bus.driver.missedWakes(Number.MAX_SAFE_INTEGER))
  const { divergences, skipped, ...replayed } = replay.finish()
  const checks: Check[] = [
    ['a task did not end once and as expected', ends.join() === story.ends.join(), ends],
    ['a journal has a fork or a gap', forks.length === 0, forks],
    ['an answer was applied twice', appliedTwice.length === 0, appliedTwice],
    ['an answer was never applied', neverApplied.length === 0, neverApplied],
    ['a delivery was deferred', attention.length === 0, attention.map(({ reason }) => reason)],
    ['a delivery was never settled', behind.length === 0, behind],
    ['a timer is left', timers.length === 0, timers],
    [
      'replay differs',
      replayed.diverged === 0 && replayed.tasks === story.ends.length && skipped.length === 0,
      [divergences, skipped],
    ],
    ...story.checks({ n, home, turns, events }),
  ]
  return checks.flatMap(([what, isRight, seen]) => (isRight ? [] : [`${what}: ${JSON.stringify(seen)}`]))
}

/** `PROGRAM END`, which matches no expected end if the task ended twice or not at all. */
const endOf = (journal: readonly Turn[]) => `${journal[0]!.program} ${journal.flatMap(({ end }) => end ?? []).join()}`

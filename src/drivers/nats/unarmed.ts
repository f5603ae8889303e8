import { differs, foldShard, groupOf, liveOf } from './live.ts'
import type { Log } from './provision.ts'
import { taskOf } from './turns.ts'

/** Live tasks of a shard that wait for `due` by their newest turn, while a worker that takes the shard over would not wake them then. */
export async function* unarmed(log: Log, shard: number): AsyncGenerator<{ group: string; task: string; due: number }> {
  const { live, until } = await foldShard(log, shard)
  for await (const { subject, seq, header } of log.events.newestHeaders(log.names.turnsIn(shard))) {
    const group = groupOf({ header })
    const known = live.get(taskOf(subject))
    if (group === undefined || seq > until || !differs(known, { seq, header })) continue
    const newest = await log.events.last(subject)
    // It went on meanwhile.
    if (!newest || newest.seq > until) continue
    const due = (await liveOf(log, newest, group))?.wake ?? null
    if (due !== null && (known?.wake ?? Infinity) > due) yield { group, task: taskOf(subject), due }
  }
}

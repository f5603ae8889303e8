import { expect, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import { app } from '../../src/runtime/app.ts'
import type { Turn } from '../../src/tasks/program.ts'
import { Programs } from '../../src/tasks/programs.ts'
import { digest } from '../../src/tasks/turn.ts'
import { until } from '../../src/testing/wait.ts'
import { tool } from '../../src/tools/tool.ts'
import { ended, eventsOf, onAnyBus } from '../lib/world.ts'

const token = `ghp_${'a1B2c3D4'.repeat(5)}`

/** Has a secret in its code, keeps it in its state, says it, and waits. */
const forgetful = agent('forgetful', {
  on: 'go',
  init: () => ({ key: token, seen: [] as unknown[] }),
  evolve: (state, event) => ({ ...state, seen: [...state.seen, event.data] }),
  decide(state, inputs, ctx) {
    if (inputs[0]!.type === 'go')
      ctx.call({ type: 'tool.invoke', target: 'echo', data: { input: `it is ${state.key}` } })
    else ctx.complete(state)
  },
})

onAnyBus(world => {
  test('an emitted event is digested and folded as it is stored, by the next owner and in a replay', async () => {
    const log = await world()
    const first = await log.worker({ use: [forgetful] })
    const { correlationid, id } = await first.bus.publish({ type: 'go', data: null })
    await until(async () => (await eventsOf(first, correlationid)).some(({ type }) => type === 'tool.invoke'))
    await first.stop()
    const echo = tool('echo', { description: '', input: z.any(), run: input => input })
    const second = await log.worker({ use: [forgetful, echo] })
    const redacted = '[redacted github-token]'
    const output = { key: redacted, seen: [null, { input: `it is ${redacted}` }, { output: `it is ${redacted}` }] }
    expect(await ended(second, correlationid, id)).toMatchObject({ data: { output } })

    const events = await eventsOf(second, correlationid)
    const turns = events.filter(({ type }) => type === 'task.turn').map(({ data }) => data as Turn)
    expect(turns[0]!.state).toEqual({ key: redacted, seen: output.seen.slice(0, 2) })
    for (const { id: emitted, hash } of turns.flatMap(({ emits }) => emits))
      expect(hash).toBe(digest(events.find(each => each.id === emitted)!.data))

    const replay = new Replayer(new Programs(app({ use: [forgetful] }).agents.map(({ definition }) => definition)))
    for (const [offset, event] of events.entries()) await replay.add({ partition: 0, offset }, event)
    expect(replay.finish()).toMatchObject({ turns: 2, diverged: 0, skipped: [] })
  })

  test('an id or a name that contains a secret is refused, and the error does not print it', async () => {
    const { bus } = await (await world()).worker({ use: [forgetful] })
    for (const name of ['id', 'target', 'user']) {
      const refused = bus.publish({ type: 'note.taken', data: null, [name]: `x ${token}` })
      await expect(refused).rejects.toMatchObject({
        code: 'E_EVENT_INVALID',
        message: `attribute "${name}" contains a secret`,
      })
    }
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import type { ModelRequest } from '../src/tasks/conversation.ts'
import { ended, eventsOf, onEveryBus } from './lib/world.ts'

const child = join(import.meta.dirname, 'lib/agent-kill-app.ts')

onEveryBus(world => {
  it('steps, guards, summaries and hand-overs survive kill -9: what was answered does not happen again, what is open does', {
    timeout: 120_000,
  }, async () => {
    const log = await world()
    const { home, bus } = log.place
    const notes = join(home, 'notes')
    const worker = (n: number) => spawn(process.execPath, [child, home, bus, notes, String(n)], { stdio: 'inherit' })
    const first = worker(1)
    // The group of the agents exists before the events.
    const outside = await log.worker({ name: 'outside', use: [] }, { only: [] })
    const filter = [{ types: ['go', 'talk'] }]
    await outside.bus.createGroup({ group: 'app/kill', filter, mode: 'sharded', from: 'now' })
    const go = await outside.bus.publish({ type: 'go', data: null })
    const talk = await outside.bus.publish({ type: 'talk', data: 'Ann asks' })
    expect(await once(first, 'exit')).toEqual([null, 'SIGKILL'])
    expect(await once(worker(2), 'exit')).toEqual([null, 'SIGKILL'])
    const third = worker(3)
    onTestFinished(() => void third.kill('SIGKILL'))
    const steps = await ended(outside, go.correlationid, go.id, 90_000)
    expect(steps.data).toMatchObject({ output: [1, 2, 'E_TOOL_OUTCOME_UNKNOWN', 4] })
    const { data } = await ended(outside, talk.correlationid, talk.id, 90_000)
    expect(data).toMatchObject({ output: expect.stringMatching(/^N\. asks \| Summary .*\n\nI looked\. \| "seen" \| /) })

    const lines = (await readFile(notes, 'utf8')).trim().split('\n')
    const ofModels = ['guard', 'summary', 'billing']
    expect(lines.filter(line => !ofModels.includes(line))).toEqual([
      'first',
      'second 0000002:0 false',
      'second 0000002:0 true',
      'once',
    ])
    expect(lines.filter(line => ofModels.includes(line))).toEqual(['guard', 'summary', 'billing', 'billing'])
    const events = await eventsOf(outside, talk.correlationid)
    expect(events.filter(({ type }) => type === 'agent.invoke')).toHaveLength(1)
    expect(
      events.filter(({ type, data: asked }) => type === 'model.invoke' && (asked as ModelRequest).summary),
    ).toHaveLength(1)
  })
})

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { ended, onEveryBus } from '../lib/world.ts'

const child = join(import.meta.dirname, 'kill-child.ts')

onEveryBus(world => {
  it('steps survive kill -9: those that were answered do not run again, the open one does', {
    timeout: 120_000,
  }, async () => {
    const log = await world()
    const { home, bus } = log.place
    const notes = join(home, 'notes')
    const worker = (n: number) => spawn(process.execPath, [child, home, bus, notes, String(n)], { stdio: 'inherit' })
    const first = worker(1)
    // The group of the agents exists before the event.
    const outside = await log.worker({ name: 'outside', use: [] }, { only: [] })
    await outside.bus.createGroup({ group: 'app/kill', filter: [{ types: ['go'] }], mode: 'sharded', from: 'now' })
    const { id, correlationid } = await outside.bus.publish({ type: 'go', data: null })
    expect(await once(first, 'exit')).toEqual([null, 'SIGKILL'])
    expect(await once(worker(2), 'exit')).toEqual([null, 'SIGKILL'])
    const third = worker(3)
    onTestFinished(() => void third.kill('SIGKILL'))
    const { data } = await ended(outside, correlationid, id, 90_000)
    expect(data).toMatchObject({ output: [1, 2, 'E_TOOL_OUTCOME_UNKNOWN', 4] })
    const lines = (await readFile(notes, 'utf8')).trim().split('\n')
    expect(lines).toEqual(['first', 'second 0000002:0 false', 'second 0000002:0 true', 'once'])
  })
})

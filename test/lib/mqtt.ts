import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { Bus } from '../../src/bus/bus.ts'
import { CommitFailures } from '../../src/testing/sqlite/commit-failures.ts'
import { openFaultySqlite } from '../../src/testing/sqlite/open-faulty.ts'
import { collect } from '../../src/testing/wait.ts'
import { mqtt, type MqttOptions } from '../../src/triggers/mqtt/mqtt.ts'

export const at = (port: number) => `mqtt://127.0.0.1:${port}`

/** A log, and triggers that publish on it; all of it is gone after the test. */
export async function openLog(folder?: string) {
  const home = folder ?? (await mkdtemp(join(tmpdir(), 'tidings-mqtt-')))
  const commits = new CommitFailures()
  const bus = new Bus(await openFaultySqlite({ home }, { commits }))
  onTestFinished(async () => {
    await bus.driver.close()
    await rm(home, { recursive: true, force: true })
  })
  const stored = async () => Promise.all((await collect(bus.read({}))).map(({ event }) => bus.resolve(event)))
  const payloads = async () => (await stored()).map(({ data }) => (data as { payload: unknown }).payload)
  /** How many events there are, without looking at them: nothing else is on this log. */
  const count = async () => Number(await bus.driver.head())
  const open = async (options: Partial<MqttOptions> & { url: string }) => {
    const running = await mqtt({ clientId: 'desk', topics: ['#'], ...options }).start(bus)
    onTestFinished(() => running.stop())
    return running
  }
  return { bus, home, commits, stored, payloads, count, open }
}

/** The warnings of this process from now on, as they come. */
export function warnings(): readonly string[] {
  const warned: string[] = []
  const hear = ({ message }: Error) => void warned.push(message)
  process.on('warning', hear)
  onTestFinished(() => void process.off('warning', hear))
  return warned
}

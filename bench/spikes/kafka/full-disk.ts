import { execFileSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openKafka } from '../../../src/drivers/kafka/index.ts'
import { createEvent } from '../../../src/event.ts'
import { TidingsError } from '../../../src/errors.ts'
import { startKafka } from '../../../src/testing/kafka/start.ts'

/* A broker whose disk is full, and then is not: `node bench/spikes/kafka/full-disk.ts` as root, because it mounts a tmpfs of 48 MB. */

const folder = await mkdtemp(join(tmpdir(), 'kafka-full-disk-'))
const home = await mkdtemp(join(tmpdir(), 'kafka-full-disk-home-'))
execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', folder])
const kafka = await startKafka({ dataDir: join(folder, 'kafka') })
const driver = await openKafka({ url: `kafka://${kafka.bootstrap}/full?partitions=1&timeout=5000`, home })
const publish = async (text: string) => {
  const event = createEvent({ type: 'filled', source: '/spike', data: { text } })
  await driver.publish([{ event, json: JSON.stringify(event) }])
  return event
}
const said = (error: unknown) => (error instanceof TidingsError ? `${error.code}: ${error.message}` : String(error))
try {
  const stored: Awaited<ReturnType<typeof publish>>[] = []
  try {
    for (;;) stored.push(await publish('x'.repeat(250_000)))
  } catch (error) {
    console.log(`${stored.length} events acknowledged, then ${said(error)}`)
  }
  await kafka.ended
  console.log(`the broker has ended; problem: ${said(driver.problem)}`)
  execFileSync('mount', ['-o', 'remount,size=400m', folder])
  await kafka.restart()
  const began = performance.now()
  for (;;) {
    try {
      await publish('')
      break
    } catch (error) {
      console.log(said(error))
      await sleep(1_000)
    }
  }
  console.log(`with room, it works again after ${Math.round(performance.now() - began)} ms`)
  const found = await Promise.all(stored.map(event => driver.get(event.id, event.correlationid)))
  console.log(`${found.filter(each => each === undefined).length} of ${stored.length} are missing`)
} finally {
  await driver.close()
  await kafka.stop()
  execFileSync('umount', [folder])
  await rm(folder, { recursive: true })
  await rm(home, { recursive: true })
}

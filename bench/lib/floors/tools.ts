import { fork } from 'node:child_process'
import { stopChild } from '../host.ts'
import { connectWire, eventOf, type FloorEvent } from './wire.ts'

export interface Tools {
  /** Total number of tool runs. */
  calls(): Promise<number>
  stop(): Promise<void>
}

/** Starts the tools of a floor in their own process; resolves when they serve. */
export async function forkTools(url: string, name: string): Promise<Tools> {
  const child = fork(import.meta.filename, [url, name])
  const nextMessage = () =>
    new Promise<number>((resolve, reject) =>
      child
        .once('message', calls => resolve(calls as number))
        .once('exit', code => reject(new Error(`ended with ${code}`))),
    )
  await nextMessage()
  return {
    calls() {
      child.send('calls')
      return nextMessage()
    },
    stop: () => stopChild(child),
  }
}

if (import.meta.main) {
  const [url, name] = process.argv.slice(2) as [string, string]
  const wire = await connectWire(url, name)
  let calls = 0
  // The state of the agent travels with the event.
  await wire.consume('tools', ['tool.invoke'], async message => {
    const { task, state, revision, data } = message.json<FloorEvent>()
    calls++
    await wire.publish(eventOf('tool.result', task, state, revision, data))
    message.ack()
  })
  process.on('message', () => process.send!(calls))
  process.once('disconnect', () => void wire.connection.close())
  process.send!(calls)
}

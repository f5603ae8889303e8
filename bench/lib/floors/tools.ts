import { fork } from 'node:child_process'
import { stopChild } from '../host.ts'
import { connectWire, eventOf, type FloorEvent } from './wire.ts'

export interface Tools {
  /** How often a tool was run, all in all. */
  calls(): Promise<number>
  stop(): Promise<void>
}

/** The tools of a floor in a process of their own; resolves when they serve. */
export async function forkTools(url: string, name: string): Promise<Tools> {
  const child = fork(import.meta.filename, [url, name])
  const said = () =>
    new Promise<number>((resolve, reject) =>
      child
        .once('message', calls => resolve(calls as number))
        .once('exit', code => reject(new Error(`ended with ${code}`))),
    )
  await said()
  return {
    calls() {
      child.send('calls')
      return said()
    },
    stop: () => stopChild(child),
  }
}

if (import.meta.main) {
  const [url, name] = process.argv.slice(2) as [string, string]
  const wire = await connectWire(url, name)
  let calls = 0
  // The state of the agent travels along.
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

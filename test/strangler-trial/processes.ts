import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const host = join(import.meta.dirname, 'host.ts')

/** A process of the trial, and what it said when it was ready. */
export interface Hosted {
  readonly child: ChildProcess
  readonly port: number
}

export async function startHost(role: 'worker' | 'server', place: { home: string; bus: string }): Promise<Hosted> {
  const child = fork(host, [role, place.home, place.bus], {
    env: { ...process.env, TIDINGS_LOG_LEVEL: 'silent' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [said] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the ${role} ended with ${code}`)
    }),
  ])
  return { child, port: typeof said === 'number' ? said : 0 }
}

/** Lets it answer what it has begun. */
export async function stopHost({ child }: Hosted): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.disconnect()
  await ended
}

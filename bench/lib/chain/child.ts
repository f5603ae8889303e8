import { once } from 'node:events'

/* What each supervised process does. It ends with its supervisor. */

const exit = () => process.exit()
process.once('disconnect', exit)

/** Waits, with all its code loaded, until the process is needed. */
export async function needed(): Promise<void> {
  process.send!('loaded')
  await once(process, 'message')
}

/** Says that it serves. */
export function serves(stop: () => Promise<void> = () => Promise.resolve()): void {
  process.off('disconnect', exit).once('disconnect', () => void stop().finally(exit))
  if (process.connected) process.send!('ready')
  else exit()
}

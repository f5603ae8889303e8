import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/* A process is identified by its id and its start time, because ids are reused. */

/** Process ids are unique only within one machine and one process namespace. */
export const hostId = `${hostname()} ${readOrEmpty(() => readlinkSync('/proc/self/ns/pid'))}`
const hasProc = readOrEmpty(() => readlinkSync('/proc/self')) !== ''

/** When a process started; '' if no process has this id. */
export function startTimeOf(pid: number): string {
  if (!hasProc) return readOrEmpty(() => (process.kill(pid, 0) ? 'unknown' : ''))
  const stat = readOrEmpty(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' || state === 'X' ? '' : (rest[18] ?? '')
}

function readOrEmpty(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

import { readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

/* Which process is meant by an id: ids are used again, start times are not. */

/** Process ids mean something within one machine and one process namespace only. */
export const host = `${hostname()} ${attempt(() => readlinkSync('/proc/self/ns/pid'))}`
const hasProc = attempt(() => readlinkSync('/proc/self')) !== ''

/** When a process started, '' when there is none of this id. */
export function startOf(pid: number): string {
  if (!hasProc) return attempt(() => (process.kill(pid, 0) ? 'unknown' : ''))
  const stat = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return state === 'Z' || state === 'X' ? '' : (rest[18] ?? '')
}

function attempt(read: () => string): string {
  try {
    return read()
  } catch {
    return ''
  }
}

import { TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import type { Machine } from './program.ts'
import type { Programs } from './programs.ts'
import { resume, type Task } from './task.ts'

/** Follows any history, and decides nothing. */
const blind: Machine = { maxTurns: Infinity, fold() {}, decide() {}, accepted() {}, snapshot: () => undefined }

/** Brings a task back of which nothing is wanted but its end: its code need not fit any more. @throws as {@link resume} */
export async function resumeToEnd(bus: Bus, programs: Programs, task: string): Promise<Task | undefined> {
  try {
    return await resume(bus, programs, task)
  } catch (error) {
    if (!(error instanceof TidingsError) || error.code !== 'E_PROGRAM_MISMATCH' || error.retryable) throw error
    const machine = () => blind
    return resume(bus, { for: (...which) => ({ ...programs.for(...which), machine }) }, task)
  }
}

import { parseId, turnId } from '../../bus/ids.ts'
import type { LocalIndex } from './local-index.ts'

/* Records of the state that belong to a task, in the partition of its correlation. */

export const wakeKey = (task: string) => `wake/${task}`
export const snapshotKey = (task: string) => `snapshot/${task}`
export const endedKey = (task: string) => `ended/${task}`

/** Of each task that has not ended. `version`: of the turn that set it. */
export interface StoredWake {
  /** The group that runs the task. */
  readonly group: string
  /** Ms since the epoch; null if nothing is to wake it. */
  readonly due: number | null
  readonly version: number
}

export interface StoredSnapshot {
  readonly version: number
  readonly state: string
}

export interface WakeOfTask extends StoredWake {
  readonly task: string
  readonly due: number
}

/** The wake-ups of a group in a partition. */
export function wakesOf(index: LocalIndex, group: string, partition: number): WakeOfTask[] {
  return allWakes(index, partition).filter(wake => wake.group === group)
}

export function allWakes(index: LocalIndex, partition?: number): WakeOfTask[] {
  return index
    .statesOf(wakeKey(''))
    .filter(row => partition === undefined || row.partition === partition)
    .flatMap(({ key, value }) => {
      const { due, ...rest } = JSON.parse(value) as StoredWake
      return due === null ? [] : [{ task: taskOfWake(key), due, ...rest }]
    })
}

export function openTasks(index: LocalIndex): { readonly task: string; readonly partition: number }[] {
  return index.statesOf(wakeKey('')).map(({ key, partition }) => ({ task: taskOfWake(key), partition }))
}

const taskOfWake = (key: string) => key.slice(wakeKey('').length)

export function wakeOf(index: LocalIndex, task: string): StoredWake | undefined {
  const row = index.state(wakeKey(task))
  return row && (JSON.parse(row.value) as StoredWake)
}

export function snapshotOf(index: LocalIndex, task: string): StoredSnapshot | undefined {
  const row = index.state(snapshotKey(task))
  return row && (JSON.parse(row.value) as StoredSnapshot)
}

/** The version of the newest turn of a task that the index knows; 0 for none. */
export function newestVersion(index: LocalIndex, task: string): number {
  const snapshot = snapshotOf(index, task)?.version ?? 0
  // The ids of events that a turn emits, and of answers to these, begin with that of the turn, and may be on the log without it.
  for (let end = `${task};`; ; ) {
    const last = index.lastId(`${task}:`, end)
    const version = last === undefined ? 0 : (parseId(last.slice(0, turnId(task, 1).length))?.version ?? 0)
    if (version <= snapshot) return snapshot
    const turn = turnId(task, version)
    if (index.firstId(turn, `${turn}\0`) === turn) return version
    end = turn
  }
}

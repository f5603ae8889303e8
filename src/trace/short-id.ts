import { isCorrelation } from '../bus/ids.ts'
import { printable } from './text.ts'

/*
 * Short ids as lists print them. Every verb accepts them.
 *
 *     task     0199…-….9d2fk3v9x0                  k3v9x0
 *     turn     0199…-….9d2fk3v9x0:0000012          k3v9x0:12
 *     event    0199…-….9d2fk3v9x0:0000012:0        k3v9x0:12:0      of turn 12, which is TASK@12 for a fork
 *     outside  0199…-…09093a3b                     09093a3b
 */

const taskDigits = 6
const outsideDigits = 8
const ofTask = /^[0-9a-f-]{36}\.[0-9a-z]{10}(?=:|$)/
const numbered = /^:0*(\d+)(?=:|$)/
const derived = /^(.+?)((?::(?:result|claim|cancel|approval|late|[0-9a-f]{8}-[0-9a-f-]{27}))+)$/
// Ids of the files trigger: the digest of the content, then that of the times.
const digest = /(?:[0-9a-f]{32}|^file:[0-9a-f]{24}:\w+:[0-9a-f]{12})$/

/** The last characters of a generated id; a user-defined id in full. */
export function shortId(id: string): string {
  const task = ofTask.exec(id)?.[0]
  if (task !== undefined) return printable(task.slice(-taskDigits) + id.slice(task.length).replace(numbered, ':$1'))
  const [, of, suffix] = derived.exec(id) ?? []
  if (of !== undefined) return shortId(of) + printable(suffix!)
  return printable(isCorrelation(id) || digest.test(id) ? id.slice(-outsideDigits) : id)
}

const shortTurn = /^([0-9a-z.-]*[0-9a-z]{4}):(\d{1,6})(?=:|$)/

/** Pads the turn number of a short id with zeros, as in the full id. */
export const longForm = (text: string) =>
  text.replace(shortTurn, (_, task: string, turn: string) => `${task}:${turn.padStart(7, '0')}`)

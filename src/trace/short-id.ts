import { isCorrelation } from '../bus/ids.ts'
import { printable } from './text.ts'

/*
 * Ids as lists show them: short, and taken by every verb.
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
// Of files, the digest of the content is followed by that of their times.
const digest = /(?:[0-9a-f]{32}|^file:[0-9a-f]{24}:\w+:[0-9a-f]{12})$/

/** The end of an id that still tells it from others; the whole of an id that somebody chose. */
export function shortId(id: string): string {
  const task = ofTask.exec(id)?.[0]
  if (task !== undefined) return printable(task.slice(-taskDigits) + id.slice(task.length).replace(numbered, ':$1'))
  const [, of, suffix] = derived.exec(id) ?? []
  if (of !== undefined) return shortId(of) + printable(suffix!)
  return printable(isCorrelation(id) || digest.test(id) ? id.slice(-outsideDigits) : id)
}

const shortTurn = /^([0-9a-z.-]*[0-9a-z]{4}):(\d{1,6})(?=:|$)/

/** The end of an id from its short form, in which turns have no zeros in front. */
export const longForm = (text: string) =>
  text.replace(shortTurn, (_, task: string, turn: string) => `${task}:${turn.padStart(7, '0')}`)

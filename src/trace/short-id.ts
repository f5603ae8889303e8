import { correlationOf, instanceId, isCorrelation } from '../bus/ids.ts'
import type { CloudEvent } from '../event.ts'
import { printable } from './text.ts'

/*
 * Short ids as lists print them. Every verb accepts them.
 *
 *     task     0199…-….9d2fk3v9x0                  k3v9x0
 *     turn     0199…-….9d2fk3v9x0:0000012          k3v9x0:12
 *     event    0199…-….9d2fk3v9x0:0000012:0        k3v9x0:12:0      of turn 12, which is TASK@12 for a fork
 *     instance 0199…-…09093a3b.9d2fk3v9x0          093a3b.v9x0      all instances of a workflow have its digest
 *     outside  0199…-…09093a3b                     09093a3b
 */

const taskDigits = 6
const instanceDigits = 4
const outsideDigits = 8
const ofTask = /^[0-9a-f-]{36}\.[0-9a-z]{10}(?=:|$)/
const numbered = /^:0*(\d+)(?=:|$)/
const derived = /^(.+?)((?::(?:result|claim|cancel|approval|late|[0-9a-f]{8}-[0-9a-f-]{27}))+)$/
// Ids of the files trigger: the digest of the content, then that of the times.
const digest = /(?:[0-9a-f]{32}|^file:[0-9a-f]{24}:\w+:[0-9a-f]{12})$/

/**
 * The last characters of a generated id; a user-defined id in full.
 * @param programs whose task it may be: recognises the instance of a workflow
 */
export function shortId(id: string, ...programs: readonly (string | undefined)[]): string {
  const task = ofTask.exec(id)?.[0]
  if (task !== undefined) {
    const correlation = correlationOf(task)
    const isInstance = programs.some(name => name !== undefined && instanceId(correlation, name) === task)
    const short = isInstance
      ? `${correlation.slice(-taskDigits)}.${task.slice(-instanceDigits)}`
      : task.slice(-taskDigits)
    return printable(short + id.slice(task.length).replace(numbered, ':$1'))
  }
  const [, of, suffix] = derived.exec(id) ?? []
  if (of !== undefined) return shortId(of) + printable(suffix!)
  return printable(isCorrelation(id) || digest.test(id) ? id.slice(-outsideDigits) : id)
}

/** The short id of an event, which a workflow emitted or gets. */
export const shortIdOf = ({ id, source, target }: Pick<CloudEvent, 'id' | 'source' | 'target'>): string =>
  shortId(id, /^\/workflows\/(.+)$/.exec(source)?.[1], target)

const shortTurn = /^([0-9a-z.-]*[0-9a-z]{4}):(\d{1,6})(?=:|$)/

/** Pads the turn number of a short id with zeros, as in the full id. */
export const longForm = (text: string) =>
  text.replace(shortTurn, (_, task: string, turn: string) => `${task}:${turn.padStart(7, '0')}`)

const shortInstance = /^([0-9a-f-]*)\.([0-9a-z]+)(:.*)?$/

/** Whether a text is a short form of the id, or the end of it. */
export function isNamedBy(id: string, text: string): boolean {
  const long = longForm(text)
  if (id.endsWith(text) || id.endsWith(long)) return true
  const task = ofTask.exec(id)?.[0]
  const [, correlation, hash, rest = ''] = shortInstance.exec(long) ?? []
  if (task === undefined || correlation === undefined || hash === undefined) return false
  return correlationOf(task).endsWith(correlation) && task.endsWith(hash) && id.slice(task.length) === rest
}

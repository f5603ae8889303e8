import { randomUUIDv7 } from 'node:crypto'
import { posix } from 'node:path'
import type { Bus } from '../../bus/bus.ts'
import { traceparentFor, ingressSpan } from '../../bus/telemetry/spans.ts'
import { inSpan } from '../../bus/telemetry/tracing.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import type { EventType } from '../../event.ts'
import type { FileEvent } from '../../received.ts'
import { copyOf } from '../../json.ts'
import { validate } from '../../schema.ts'
import { textOf } from '../../errors.ts'
import type { FileContent, FileState } from './file-system.ts'
import { toSingleLine } from '../subject.ts'

const tenant = 'default'

/** Types of their own for files that match a pattern. */
export type FileTypes = Readonly<Record<string, EventType>>

/** What the events of a folder have in common. */
export interface WatchedFolder {
  readonly name: string
  readonly folder: string
  readonly types: FileTypes
}

/** A path as events of this type have it: a name may be a secret, or lie where a declared path hides it. */
export const pathOnLog = ({ redactor }: Bus, path: string, type = 'file.created') =>
  redactor.event({ type, data: { path } }).data.path

/** Where the event lies, and the path that it has. */
export interface PublishedFile {
  readonly position: number
  readonly path: string
}

/** The content first, then the event that names it. */
export async function publishWritten(
  bus: Bus,
  place: WatchedFolder,
  file: { id: string; path: string; isNew: boolean; seen: FileState; content: FileContent },
): Promise<PublishedFile> {
  const { path, seen, content } = file
  const stored = content.bytes ? await bus.putBlob(tenant, content.bytes) : { bytes: seen.bytes }
  const modified = new Date(seen.modified).toISOString()
  const data: FileEvent = { path, folder: place.folder, ...stored, modified }
  const type = file.isNew ? 'file.created' : 'file.changed'
  return publish(bus, place, file.id, (await typeOf(bus, place, data)) ?? type, data)
}

export const publishRemoved = (bus: Bus, place: WatchedFolder, id: string, path: string) =>
  publish(bus, place, id, 'file.removed', { path, folder: place.folder })

async function publish(
  bus: Bus,
  { name }: WatchedFolder,
  id: string,
  type: string,
  data: FileEvent,
): Promise<PublishedFile> {
  const correlationid = randomUUIDv7()
  const path = pathOnLog(bus, data.path, type)
  const subject = toSingleLine(bus.redactor, path)
  const draft = { id, type, source: `/triggers/${name}`, tenant, subject, correlationid, data }
  const { position } = await inSpan(
    bus.redactor,
    () => ingressSpan({ name: `receive ${type}`, correlation: correlationid, at: Date.now(), attributes: {} }),
    span => bus.publish({ ...draft, ...traceparentFor(span) }),
  )
  return { position, path }
}

/** The type that the app has for it, where it fits; what does not fit comes as what it is, and is told. */
async function typeOf(bus: Bus, { name, types }: WatchedFolder, data: FileEvent): Promise<string | undefined> {
  for (const [pattern, { type, schema }] of Object.entries(types)) {
    if (!matchesGlob(pattern, data.path)) continue
    try {
      await validate(schema, copyOf(data), 'E_EVENT_INVALID', `${pathOnLog(bus, data.path)} is no ${type}`)
      return type
    } catch (error) {
      // A schema that throws says as little of the log as one that does not fit.
      warn(bus.redactor, `files ${name}: ${textOf(error)}`)
      return undefined
    }
  }
  return undefined
}

/** `*.csv` is in the folder itself, `**` goes below it too. */
export const matchesGlob = (pattern: string, path: string) => posix.matchesGlob(path, pattern)

import { posix } from 'node:path'
import type { Bus } from '../../bus/bus.ts'
import type { Position } from '../../bus/driver.ts'
import { publishFromOutside } from '../../bus/ingress.ts'
import { warn } from '../../bus/telemetry/warn.ts'
import { defaultTenant, type EventType } from '../../event.ts'
import type { FileEvent } from '../../received.ts'
import { copyOf } from '../../json.ts'
import { validateInput } from '../../schema.ts'
import { textOf } from '../../errors.ts'
import type { FileContent, FileState } from './file-system.ts'
import { toSingleLine } from '../subject.ts'

/** Event types by pattern of the path. */
export type FileTypes = Readonly<Record<string, EventType>>

export interface WatchedFolder {
  readonly name: string
  readonly folder: string
  readonly types: FileTypes
}

/** The path as it is stored in events of this type: it may contain a secret, or be hidden by a declared path. */
export const pathOnLog = ({ redactor }: Bus, path: string, type = 'file.created') =>
  redactor.event({ type, data: { path } }).data.path

/** The position of the event, and its path as stored. */
interface PublishedFile {
  readonly position: Position
  readonly path: string
}

/** Stores the content, then the event that names it. */
export async function publishWritten(
  bus: Bus,
  watched: WatchedFolder,
  file: { id: string; path: string; isNew: boolean; state: FileState; content: FileContent },
): Promise<PublishedFile> {
  const { path, state, content } = file
  const contentData = content.bytes ? await bus.putBlob(defaultTenant, content.bytes) : { bytes: state.bytes }
  const modified = new Date(state.modified).toISOString()
  const data: FileEvent = { path, folder: watched.folder, ...contentData, modified }
  const type = file.isNew ? 'file.created' : 'file.changed'
  return publish(bus, watched, file.id, (await customTypeOf(bus, watched, data)) ?? type, data)
}

export const publishRemoved = (bus: Bus, watched: WatchedFolder, id: string, path: string) =>
  publish(bus, watched, id, 'file.removed', { path, folder: watched.folder })

async function publish(
  bus: Bus,
  { name }: WatchedFolder,
  id: string,
  type: string,
  data: FileEvent,
): Promise<PublishedFile> {
  const path = pathOnLog(bus, data.path, type)
  const subject = toSingleLine(bus.redactor, path)
  const draft = { id, type, source: `/triggers/${name}`, subject, data }
  const [published] = await publishFromOutside(bus, { name: `receive ${type}`, at: Date.now() }, [draft])
  return { position: published!.position, path }
}

/** The type of the app for this path. If the file does not match its schema, warns and returns undefined. */
async function customTypeOf(bus: Bus, { name, types }: WatchedFolder, data: FileEvent): Promise<string | undefined> {
  for (const [pattern, { type, schema }] of Object.entries(types)) {
    if (!posix.matchesGlob(data.path, pattern)) continue
    try {
      const mismatch = `${pathOnLog(bus, data.path)} does not match ${type}`
      await validateInput(schema, copyOf(data), 'E_EVENT_INVALID', mismatch)
      return type
    } catch (error) {
      warn(bus.redactor, `files ${name}: ${textOf(error)}`)
      return undefined
    }
  }
  return undefined
}

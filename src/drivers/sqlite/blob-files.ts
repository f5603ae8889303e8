import { hash, randomUUID } from 'node:crypto'
import { mkdir, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { privateFile, privateFolder } from '../../bus/private-files.ts'
import { tenantFolder } from '../../bus/tenant-folder.ts'
import { TidingsError } from '../../errors.ts'
import { describeThrown } from '../../thrown.ts'

const reference = /^sha256-([0-9a-f]{64})$/

/** Content-addressed files under the home, a folder for each tenant. */
export class BlobFiles {
  readonly #root: string

  constructor(home: string) {
    this.#root = join(home, 'blobs')
  }

  /** When it resolves, the bytes, the name and the folders above it are durable. */
  async put(tenant: string, bytes: Uint8Array): Promise<string> {
    const ref = `sha256-${hash('sha256', bytes, 'hex')}`
    const path = this.#path(tenant, ref)!
    try {
      if (await touchIfPresent(path)) await sync(dirname(path))
      else await this.#write(path, bytes)
    } catch (error) {
      throw blobUnavailable('written', error)
    }
    return ref
  }

  async get(tenant: string, ref: string): Promise<Uint8Array | undefined> {
    const path = this.#path(tenant, ref)
    try {
      return path === undefined ? undefined : await unless<Uint8Array | undefined>('ENOENT', undefined, readFile(path))
    } catch (error) {
      throw blobUnavailable('read', error)
    }
  }

  /** References of blobs that were last put before `cutoff`. */
  async olderThan(cutoff: number): Promise<Set<string>> {
    return new Set((await this.#filesBefore(cutoff)).map(({ ref }) => ref))
  }

  /** Deletes those of `refs` that were not put since `cutoff`. */
  async purge(refs: Set<string>, cutoff: number): Promise<void> {
    for (const { path, ref } of await this.#filesBefore(cutoff)) if (refs.has(ref)) await rm(path, { force: true })
  }

  async #filesBefore(cutoff: number): Promise<{ path: string; ref: string }[]> {
    const files: { path: string; ref: string }[] = []
    const entries = readdir(this.#root, { recursive: true, withFileTypes: true })
    for (const entry of await unless('ENOENT', [], entries)) {
      if (!entry.isFile()) continue
      const path = join(entry.parentPath, entry.name)
      const found = await stat(path).catch(() => undefined)
      if (found && found.mtimeMs < cutoff) files.push({ path, ref: `sha256-${entry.name}` })
    }
    return files
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const folder = dirname(path)
    const made = await this.#createFolders(folder)
    const temporary = join(folder, `.${randomUUID()}`)
    await writeDurably(temporary, bytes)
    await rename(temporary, path)
    await sync(folder)
    if (made === undefined) return
    for (let parent = dirname(folder); parent.length >= dirname(made).length; parent = dirname(parent))
      await sync(parent)
  }

  /** Does not create the home, which may have been removed. Returns the first folder that was missing. */
  async #createFolders(folder: string): Promise<string | undefined> {
    const missing: string[] = []
    for (let each = folder; each.length >= this.#root.length; each = dirname(each)) missing.unshift(each)
    let made: string | undefined
    for (const each of missing) if (await createFolder(each)) made ??= each
    return made
  }

  #path(tenant: string, ref: string): string | undefined {
    const digest = reference.exec(ref)?.[1]
    return digest && join(this.#root, tenantFolder(tenant), digest.slice(0, 2), digest)
  }
}

async function writeDurably(path: string, bytes: Uint8Array): Promise<void> {
  await using file = await open(path, 'wx', privateFile)
  await file.writeFile(bytes)
  await file.datasync()
}

async function sync(folder: string): Promise<void> {
  await using handle = await open(folder, 'r')
  await handle.sync()
}

/** Sets the age of a blob to zero. Returns whether it exists. */
const touchIfPresent = (path: string) => unless('ENOENT', false, utimes(path, new Date(), new Date()).then(isDone))

/** Returns false if it exists. */
const createFolder = (folder: string) => unless('EEXIST', false, mkdir(folder, { mode: privateFolder }).then(isDone))

const isDone = () => true

/** The result of the work, or `otherwise` if it fails with this code. */
async function unless<T>(code: 'ENOENT' | 'EEXIST', otherwise: T, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === code) return otherwise
    throw error
  }
}

const blobUnavailable = (action: 'written' | 'read', error: unknown) =>
  new TidingsError('E_LOG_UNAVAILABLE', `a blob could not be ${action}: ${describeThrown(error)}`, { retryable: true })

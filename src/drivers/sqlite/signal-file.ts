import { randomUUID } from 'node:crypto'
import { type FSWatcher, statSync, truncateSync, watch } from 'node:fs'
import { appendFile, open } from 'node:fs/promises'
import { join } from 'node:path'
import { makePrivateFile, privateFile } from '../../bus/private-files.ts'
import type { CloudEvent } from '../../event.ts'

type Listener = (event: CloudEvent) => void

const maxFileBytes = 4 * 1024 * 1024
const maxBatchLength = 1024 * 1024

/**
 * Events that are not stored on the log. Listeners in this process receive them directly; other processes read them from a file that
 * is never synced, and is truncated when it is large. Signals that do not fit, or fail, are dropped.
 */
export class SignalFile {
  /** Whether another process may listen; if not, nothing is written. */
  hasOthers = false
  readonly #path: string
  readonly #self = randomUUID()
  readonly #listeners = new Set<Listener>()
  #batch = ''
  #writing = false
  #watcher: FSWatcher | undefined
  #offset = 0
  #reading = false
  #hasChanged = false
  #closed = false

  constructor(home: string) {
    this.#path = join(home, 'signals.jsonl')
  }

  send(event: CloudEvent): void {
    for (const listener of this.#listeners) listener(event)
    if (this.#closed || !this.hasOthers || this.#batch.length > maxBatchLength) return
    if (this.#batch === '' && !this.#writing) setImmediate(() => void this.#write())
    this.#batch += `${JSON.stringify([this.#self, event])}\n`
  }

  listen(listener: Listener): () => void {
    this.#listeners.add(listener)
    if (!this.#watcher && !this.#closed) this.#watch()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size === 0) this.#unwatch()
    }
  }

  close(): void {
    this.#closed = true
    this.#listeners.clear()
    this.#unwatch()
  }

  #unwatch(): void {
    this.#watcher?.close()
    this.#watcher = undefined
  }

  async #write(): Promise<void> {
    this.#writing = true
    while (this.#batch) {
      const batch = this.#batch
      this.#batch = ''
      try {
        await appendFile(this.#path, batch, { mode: privateFile })
        if (statSync(this.#path).size > maxFileBytes) truncateSync(this.#path)
      } catch {
        break // Signals are lossy by design: a full disk must not disturb other work.
      }
    }
    this.#writing = false
  }

  #watch(): void {
    makePrivateFile(this.#path)
    this.#offset = statSync(this.#path).size
    this.#watcher = watch(this.#path, { persistent: false }, () => void this.#read())
    this.#watcher.on('error', () => this.#unwatch())
  }

  async #read(): Promise<void> {
    this.#hasChanged = true
    if (this.#reading) return
    this.#reading = true
    // A change while the end is being read is reported only now.
    while (this.#hasChanged) {
      this.#hasChanged = false
      await this.#readToEnd().catch(() => {})
    }
    this.#reading = false
  }

  async #readToEnd(): Promise<void> {
    await using file = await open(this.#path, 'r')
    for (let text = await this.#readChunk(file); text; text = await this.#readChunk(file)) this.#dispatchLines(text)
  }

  async #readChunk(file: Awaited<ReturnType<typeof open>>): Promise<string> {
    const { size } = await file.stat()
    if (size < this.#offset) this.#offset = 0
    const bytes = Buffer.alloc(Math.min(size - this.#offset, maxBatchLength))
    if (bytes.length === 0) return ''
    const { bytesRead } = await file.read(bytes, 0, bytes.length, this.#offset)
    const end = bytes.lastIndexOf(0x0a, bytesRead - 1) + 1
    const whole = end === 0 && bytesRead < maxBatchLength ? 0 : end || bytesRead
    this.#offset += whole
    return bytes.toString('utf8', 0, whole)
  }

  #dispatchLines(text: string): void {
    for (const line of text.split('\n')) {
      if (!line || line.startsWith(`["${this.#self}"`)) continue
      // It may have joined just now, and ask for something.
      this.hasOthers = true
      const parsed = parseLine(line)
      if (parsed) for (const listener of this.#listeners) listener(parsed)
    }
  }
}

/** Undefined for a line that a truncation cut. */
function parseLine(line: string): CloudEvent | undefined {
  try {
    return (JSON.parse(line) as [string, CloudEvent])[1]
  } catch {
    return undefined
  }
}

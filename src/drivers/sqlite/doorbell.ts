import { closeSync, type FSWatcher, openSync, watch, writeSync } from 'node:fs'
import { join } from 'node:path'
import { makePrivateFile } from '../../bus/private-files.ts'

/** A file beside the log that is touched after commits which other processes may care about, and watched by them. */
export class Doorbell {
  readonly #file: number
  readonly #watcher: FSWatcher
  readonly #byte = Buffer.of(0x2a)

  constructor(home: string, onRing: () => void) {
    const path = join(home, 'doorbell')
    makePrivateFile(path)
    this.#file = openSync(path, 'r+')
    this.#watcher = watch(path, { persistent: false }, onRing)
    this.#watcher.on('error', () => undefined)
  }

  ring(): void {
    writeSync(this.#file, this.#byte, 0, 1, 0)
  }

  close(): void {
    this.#watcher.close()
    closeSync(this.#file)
  }
}

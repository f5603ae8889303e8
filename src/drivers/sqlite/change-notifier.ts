import { closeSync, type FSWatcher, openSync, watch, writeSync } from 'node:fs'
import { join } from 'node:path'
import { makePrivateFile } from '../../bus/private-files.ts'

/** Tells other processes on this log that it changed: a file beside the log that writers touch after a commit, and watch. */
export class ChangeNotifier {
  readonly #file: number
  readonly #watcher: FSWatcher
  readonly #byte = Buffer.of(0x2a)

  constructor(home: string, onChange: () => void) {
    const path = join(home, 'doorbell')
    makePrivateFile(path)
    this.#file = openSync(path, 'r+')
    this.#watcher = watch(path, { persistent: false }, onChange)
    this.#watcher.on('error', () => undefined)
  }

  notify(): void {
    writeSync(this.#file, this.#byte, 0, 1, 0)
  }

  close(): void {
    this.#watcher.close()
    closeSync(this.#file)
  }
}

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { setPriority } from 'node:os'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { styleText } from 'node:util'
import { dim } from '../trace/paint.ts'
import { printResult, type GlobalOptions } from './output.ts'

const maxShownErrors = 10

/** Checks the types of a project in the background, with the compiler that the project has. */
export class TypeCheck {
  readonly #folder: string
  readonly #compiler: string
  readonly #options: GlobalOptions
  #running: ChildProcess | undefined
  #hasFailed = false

  private constructor(folder: string, compiler: string, options: GlobalOptions) {
    this.#folder = folder
    this.#compiler = compiler
    this.#options = options
  }

  /** Undefined if the project has no tsconfig.json, or TypeScript is not installed. */
  static of(folder: string, options: GlobalOptions): TypeCheck | undefined {
    if (!existsSync(join(folder, 'tsconfig.json'))) return undefined
    try {
      const manifest = createRequire(join(folder, 'app.ts')).resolve('typescript/package.json')
      return new TypeCheck(folder, join(dirname(manifest), 'bin/tsc'), options)
    } catch {
      return undefined
    }
  }

  /** Begins a check, and prints what it finds. A check that still runs is given up. */
  start(): void {
    this.stop()
    const args = [this.#compiler, '--noEmit', '--pretty', 'false', '-p', this.#folder]
    const child = spawn(process.execPath, args, { cwd: this.#folder, stdio: ['ignore', 'pipe', 'ignore'] })
    this.#running = child
    // The app comes first.
    if (child.pid !== undefined) setPriority(child.pid, 10)
    void this.#report(child)
  }

  stop(): void {
    this.#running?.kill()
    this.#running = undefined
  }

  async #report(child: ChildProcess): Promise<void> {
    const [output] = await Promise.all([text(child.stdout!), once(child, 'close')]).catch(() => [''])
    if (child !== this.#running) return
    this.#running = undefined
    const errors = output.split('\n').filter(line => /: error TS\d+: |^error TS\d+: /.test(line))
    if (errors.length === 0 && !this.#hasFailed) return
    this.#hasFailed = errors.length > 0
    const mark = styleText('red', '✖')
    const more = errors.length - maxShownErrors
    await printResult(
      this.#options,
      { event: 'types', errors },
      errors.length === 0
        ? [`${styleText('green', '✔')} the types are right again`]
        : [
            ...errors.slice(0, maxShownErrors).map(error => `${mark} ${error}`),
            ...(more > 0 ? [dim(`  and ${more} more: npx tsc`)] : []),
          ],
    )
  }
}

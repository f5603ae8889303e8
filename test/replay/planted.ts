import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { onTestFinished } from 'vitest'
import { writeSample } from '../../examples/report-desk/sample.ts'
import type { App } from '../../src/index.ts'

const mill = `# Mill

## Corn

The mill grinds corn of the island in autumn.

The mill grinds corn of the mainland in spring.

## Miller

The miller of the mill grinds corn at night when the wind is good.
`

const root = join(import.meta.dirname, '../..')

/** A checkout of the report desk, over two small documents, in which lines may be replaced. */
export class Checkout {
  readonly folder: string
  readonly home: string

  private constructor(folder: string) {
    this.folder = folder
    this.home = join(folder, 'home')
  }

  static async make(): Promise<Checkout> {
    const checkout = new Checkout(await mkdtemp(join(tmpdir(), 'tidings-planted-')))
    onTestFinished(() => rm(checkout.folder, { recursive: true, force: true }))
    await mkdir(checkout.home)
    writeSample(join(checkout.folder, 'documents'))
    // Of which more than one sentence answers.
    await writeFile(join(checkout.folder, 'documents/mill.md'), mill)
    for (const name of ['src', 'node_modules', 'package.json'])
      await symlink(join(root, name), join(checkout.folder, name))
    return checkout
  }

  /** A copy of the app under this name, with one change. */
  async app(name: string, file?: string, [before, after]: [string, string] = ['', '']): Promise<DeskCopy> {
    const folder = join(this.folder, name, 'report-desk')
    await cp(join(root, 'examples/report-desk'), folder, {
      recursive: true,
      filter: from => !from.includes('recorded'),
    })
    await replace(join(folder, 'app.ts'), `join(import.meta.dirname, '../..')`, `'${this.folder}/documents'`)
    await replace(join(folder, 'app.ts'), `resolve(process.env.TIDINGS_HOME || '.tidings')`, `'${this.home}'`)
    if (file) await replace(join(folder, file), before, after)
    const module = pathToFileURL(join(folder, 'app.ts')).href
    return {
      module,
      load: async () => ((await import(module)) as { default: App }).default,
      lineOf: async (source, text) =>
        (await readFile(join(folder, source), 'utf8')).split('\n').findIndex(line => line.includes(text)) + 1,
    }
  }
}

export interface DeskCopy {
  /** URL of the app file. */
  readonly module: string
  load(): Promise<App>
  /** Number of the line that holds this text. */
  lineOf(source: string, text: string): Promise<number>
}

async function replace(file: string, before: string, after: string): Promise<void> {
  const text = await readFile(file, 'utf8')
  if (!text.includes(before)) throw new Error(`${file} has no ${before}`)
  await writeFile(file, text.replace(before, after))
}

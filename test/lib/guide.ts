import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect } from 'vitest'

/* The code blocks of a page as files: `ts file=NAME` is a file, `diff file=NAME` changes it. */

const root = join(import.meta.dirname, '../..')

export interface Block {
  readonly info: string
  readonly code: string
}

export const blocksOf = (page: string): Block[] =>
  [...page.matchAll(/^```(.*)\n([^]*?)^```$/gm)].map(([, info, code]) => ({ info: info!, code: code! }))

export function fileOf({ info }: Block): string | undefined {
  return /^\w+ file=(\S+)$/.exec(info)?.[1]
}

/** Writes the file of a block, or changes it; other blocks are none. */
export async function write(folder: string, block: Block): Promise<void> {
  const file = fileOf(block)
  if (file === undefined) return
  const path = join(folder, file)
  if (block.info.startsWith('diff ')) return edit(path, block.code)
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, fromSource(block.code))
}

async function edit(path: string, diff: string): Promise<void> {
  const lines = (sign: string) => diff.split('\n').filter(line => line.startsWith(sign))
  const [before, after] = ['-', '+'].map(sign =>
    lines(sign)
      .map(line => line.slice(1))
      .join('\n'),
  )
  const code = await readFile(path, 'utf8')
  expect(code).toContain(before)
  await writeFile(
    path,
    code.replace(before!, () => fromSource(after!)),
  )
}

const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, { default: string }>
}

/** Code of a reader, on the sources of this checkout. */
const fromSource = (code: string) =>
  code.replaceAll(/'tidings(\/[\w/-]+)?'/g, (_, path = '') => {
    const { default: built } = exports[`.${path}`]!
    return `'${join(root, built.replace('/dist/', '/src/').replace(/\.js$/, '.ts'))}'`
  })

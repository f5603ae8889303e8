import { execFile } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'

/*
 * Runs the examples of the docs as a reader would: a code block `ts file=NAME` is a file of the page, `sh run` is run in the folder of these
 * files, and the `text` after it is what it prints. In expected output `…` stands for any text within a line.
 */

const root = join(import.meta.dirname, '..')
const pages = globSync('docs/**/*.md', { cwd: root }).toSorted()

interface Block {
  readonly info: string
  readonly code: string
}

const blocksOf = (page: string): Block[] =>
  [...page.matchAll(/^```(.*)\n([^]*?)^```$/gm)].map(([, info, code]) => ({ info: info!, code: code! }))

const texts = await Promise.all(
  pages.map(async page => ({ page, blocks: blocksOf(await readFile(join(root, page), 'utf8')) })),
)
const guides = texts.filter(({ blocks }) => blocks.some(({ info }) => info === 'sh run'))

test.each(guides)('the examples of $page print what it says', async ({ blocks }) => {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-guide-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  for (const [i, { info, code }] of blocks.entries()) {
    const file = /^\w+ file=(\S+)$/.exec(info)?.[1]
    if (file !== undefined) await write(join(folder, file), code)
    if (info === 'sh run') expect(await run(code, folder)).toMatch(patternOf(blocks[i + 1]!))
  }
})

async function write(path: string, code: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writeFile(path, fromSource(code))
}

const fromSource = (code: string) =>
  code.replaceAll(/'tidings(?:\/([\w/]+))?'/g, (_, path?: string) => {
    const entry = path === undefined ? 'index' : path === 'driver' ? 'driver' : `${path}/index`
    return `'${join(root, 'src', `${entry}.ts`)}'`
  })

async function run(script: string, folder: string): Promise<string> {
  const tidings = `node ${join(root, 'src/cli/main.ts')}`
  const env = {
    ...process.env,
    TIDINGS_HOME: join(folder, '.tidings'),
    NO_COLOR: '1',
    FORCE_COLOR: undefined,
    TZ: 'UTC',
  }
  const path = `${dirname(process.execPath)}:${process.env.PATH}`
  const { stdout } = await promisify(execFile)('sh', ['-ec', script.replaceAll('npx tidings', tidings)], {
    cwd: folder,
    env: { ...env, PATH: path },
  })
  return stdout
}

function patternOf({ info, code }: Block): RegExp {
  expect(info).toBe('text')
  return new RegExp(`^${code.split('…').map(RegExp.escape).join('[^\\n]*')}$`)
}

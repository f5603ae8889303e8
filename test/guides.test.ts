import { execFile, spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import { until } from '../src/testing/wait.ts'
import { blocksOf, fileOf, write, type Block } from './lib/guide.ts'

/*
 * Runs the examples of the docs as a reader would: a code block `ts file=NAME` is a file of the page, `diff file=NAME` changes it, `sh run` is
 * run in the folder of these files, and the `text` after it is what it prints. `sh start` runs in the background until the page ends, and has begun when it has printed
 * the `text` after it. `sh until` is repeated until it prints its text. In expected output `…` stands for any text within a line.
 */

const root = join(import.meta.dirname, '..')
const pages = globSync('docs/**/*.md', { cwd: root }).toSorted()

const texts = await Promise.all(
  pages.map(async page => ({ page, blocks: blocksOf(await readFile(join(root, page), 'utf8')) })),
)
const guides = texts.filter(({ blocks }) => blocks.some(({ info }) => /^sh \w/.test(info)))
const withFiles = texts.filter(({ blocks }) => blocks.some(block => fileOf(block) !== undefined))

test.each(guides)('the examples of $page print what it says', { timeout: 240_000 }, async ({ blocks }) => {
  const folder = await projectFolder()
  for (const [i, block] of blocks.entries()) {
    await write(folder, block)
    const { info, code } = block
    if (info === 'sh run') expect(await run(code, folder)).toMatch(patternOf(blocks[i + 1]))
    if (info === 'sh start') await startInBackground(code, folder, patternOf(blocks[i + 1]))
    if (info === 'sh until') await printsAtLast(() => run(code, folder), patternOf(blocks[i + 1]))
  }
})

test('the examples of the docs compile', { timeout: 240_000 }, async () => {
  const folder = await projectFolder()
  for (const { page, blocks } of withFiles) for (const block of blocks) await write(join(folder, page), block)
  const compilerOptions = { noEmit: true, rewriteRelativeImportExtensions: false, allowImportingTsExtensions: true }
  const config = {
    extends: join(root, 'tsconfig.base.json'),
    compilerOptions,
    include: ['docs'],
  }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  const tsc = promisify(execFile)(join(root, 'node_modules/.bin/tsc'), ['-p', folder], { cwd: folder })
  await tsc.catch(error => expect.unreachable((error as { stdout: string }).stdout))
})

const described = [
  'ScriptContext',
  'CommonAgentOptions',
  'TypedAgentOptions',
  'ModelAgentOptions',
  'Program',
  'ToolOptions',
  'ToolContext',
]

test.each([...described, 'AppOptions'])('docs/guides/agents-and-tools.md names every member of %s', async name => {
  const sources = await Promise.all(
    globSync('src/**/*.ts', { cwd: root }).map(file => readFile(join(root, file), 'utf8')),
  )
  const declaration = new RegExp(`^(?:export )?interface ${name}\\b[^{]*\\{\\n([^]*?)^\\}`, 'm')
  const body = sources.map(source => declaration.exec(source)?.[1]).find(found => found !== undefined)
  const members = [...body!.matchAll(/^ {2}(?:readonly )?(\w+)[?:(<]/gm)].map(([, member]) => member!)
  expect(members).not.toEqual([])
  const page = await readFile(join(root, 'docs/guides/agents-and-tools.md'), 'utf8')
  expect(members.filter(member => !new RegExp(`\`[^\`]*\\b${member}\\b[^\`]*\``).test(page))).toEqual([])
})

async function projectFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tidings-guide-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  return folder
}

/** How a shell runs a script of the reader. */
function shell(script: string, folder: string) {
  const tidings = `node ${join(root, 'src/cli/main.ts')}`
  const env = {
    ...process.env,
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    TIDINGS_HOME: join(folder, '.tidings'),
    NO_COLOR: '1',
    // As npx sets it.
    npm_lifecycle_script: 'tidings',
    FORCE_COLOR: undefined,
    TZ: 'UTC',
  }
  return {
    args: ['-ec', script.replaceAll('npx tidings', tidings).replaceAll('npx node', 'node')],
    options: { cwd: folder, env },
  }
}

async function run(script: string, folder: string): Promise<string> {
  const { args, options } = shell(script, folder)
  return (await promisify(execFile)('sh', args, options)).stdout
}

async function startInBackground(script: string, folder: string, pattern: RegExp): Promise<void> {
  const { args, options } = shell(script, folder)
  // A group of its own, so that what the shell started ends with it.
  const child = spawn('sh', args, { ...options, detached: true, stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise(resolve => child.on('close', resolve))
  onTestFinished(async () => {
    if (child.exitCode === null) process.kill(-child.pid!, 'SIGKILL')
    await ended
  })
  let printed = ''
  child.stdout.on('data', data => (printed += data))
  await printsAtLast(async () => printed, pattern)
}

async function printsAtLast(read: () => Promise<string>, pattern: RegExp): Promise<void> {
  let printed = ''
  const matches = async () => pattern.test((printed = await read()))
  await until(matches).catch(() => expect(printed, `it printed at last:\n${printed}`).toMatch(pattern))
}

function patternOf(block: Block | undefined): RegExp {
  expect(block?.info).toBe('text')
  return new RegExp(`^${block!.code.split('…').map(RegExp.escape).join('[^\\n]*')}$`)
}

import { createHash } from 'node:crypto'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { build } from 'vite'

/*
 * Builds the console into dist/console, unless what is there was built from the same sources: `node scripts/console.ts`. The set-up runs it, so
 * that `npm start` finds it built.
 */

const root = join(import.meta.dirname, '..')
const target = join(root, 'dist/console')
const digestFile = join(target, 'sources.json')

/** The digest of each source file that a build was made of, by its path. */
type Sources = Record<string, string>

const digestOf = (file: string) =>
  createHash('sha256')
    .update(readFileSync(join(root, file)))
    .digest('hex')
    .slice(0, 16)
const own = () =>
  globSync('console/{src/**/*,index.html,package.json,vite.config.ts}', { cwd: root, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => relative(root, join(entry.parentPath, entry.name)))
    .filter(file => !file.endsWith('.test.ts'))

/** Whether dist/console was built from the files as they are now. */
export function isCurrent(): boolean {
  if (!existsSync(digestFile)) return false
  const built = JSON.parse(readFileSync(digestFile, 'utf8')) as Sources
  return (
    own().every(file => file in built) &&
    Object.entries(built).every(([file, digest]) => existsSync(join(root, file)) && digestOf(file) === digest)
  )
}

/** Builds the console, and writes down what it was made of. */
export async function buildConsole(): Promise<void> {
  const modules = new Set<string>()
  // Also those of workers, which are built on their own.
  const collect = { name: 'sources', moduleParsed: ({ id }: { id: string }) => void modules.add(id.split('?')[0]!) }
  await build({
    root: join(root, 'console'),
    logLevel: 'error',
    build: { outDir: target, emptyOutDir: true },
    plugins: [collect],
    worker: { plugins: () => [collect] },
  })
  const imported = [...modules]
    .map(id => relative(root, id))
    .filter(file => file.startsWith('src/') && existsSync(join(root, file)))
  const sources = [...new Set([...own(), ...imported])].toSorted().map(file => [file, digestOf(file)] as const)
  writeFileSync(digestFile, `${JSON.stringify(Object.fromEntries(sources), undefined, 1)}\n`)
}

if (import.meta.main && !isCurrent()) {
  const begin = performance.now()
  await buildConsole()
  console.log(`built the console (${((performance.now() - begin) / 1_000).toFixed(1)} s)`)
}

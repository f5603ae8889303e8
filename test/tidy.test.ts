import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import manifest from '../package.json' with { type: 'json' }

/*
 * Style that a machine can check. Each test collects offences as `file: what`, so that a failure says where to look.
 */

const root = join(import.meta.dirname, '..')
const read = (file: string) => readFileSync(join(root, file), 'utf8')
const files = (...patterns: string[]) =>
  globSync(patterns, { cwd: root, exclude: ['**/node_modules', 'dist'] }).toSorted()

const code = files('{src,test,examples,bench,scripts}/**/*.{ts,mjs}', '*.ts')
const tests = code.filter(file => file.endsWith('.test.ts'))
const source = code.filter(file => file.startsWith('src/') && !file.endsWith('.test.ts'))

/** Files that a source file names by a relative path: imports of every kind, and the entries of worker threads. */
const references = (file: string) =>
  [
    ...read(file)
      .replaceAll('${import.meta.url.slice(-3)}', '.ts')
      .matchAll(/['"`](\.{1,2}\/[^'"`\s]+\.ts)['"`]/g),
  ]
    .map(([, path]) => join(dirname(file), path!))
    .filter(path => existsSync(join(root, path)))

/** `src/agents/loop.ts` → `agents`; `src/event.ts` → `event`; the drivers count one by one: `drivers/sqlite`. */
function unit(file: string): string {
  const [, folder, name] = file.split('/')
  if (name === undefined) return basename(folder!, '.ts')
  return folder === 'drivers' ? `drivers/${basename(name, '.ts')}` : folder!
}

test('import rule: stations do not import each other', () => {
  const core = [
    'errors',
    'thrown',
    'stack',
    'suggest',
    'manifest',
    'options',
    'json',
    'json-text',
    'pattern',
    'schema',
    'event',
    'received',
  ]
  const stations = [
    'ask',
    'agents',
    'tools',
    'models',
    'workflows',
    'triggers',
    'sinks',
    'gateway',
    'replay',
    'trace',
    'taps',
    'mcp',
  ]
  const allowed: Record<string, string[] | 'anything'> = {
    thrown: [],
    stack: [],
    suggest: [],
    manifest: [],
    options: ['errors', 'stack', 'suggest'],
    errors: ['thrown', 'stack'],
    json: ['errors'],
    'json-text': [],
    pattern: ['errors'],
    schema: ['errors', 'options'],
    event: ['errors', 'json', 'options', 'pattern', 'schema'],
    received: [],
    bus: core,
    tasks: [...core, 'bus'],
    http: [...core, 'bus'],
    kafka: [...core, 'bus'],
    blobs: [...core, 'bus'],
    ...Object.fromEntries(stations.map(station => [station, [...core, 'bus', 'http', 'tasks']])),
    triggers: [...core, 'bus', 'http', 'tasks', 'kafka'],
    sinks: [...core, 'bus', 'kafka'],
    gateway: [...core, 'bus', 'http', 'tasks', 'ask', 'mcp', 'trace', 'workflows', 'replay', 'models'],
    strangler: [...core, 'bus', 'http', 'tasks', 'ask', 'replay'],
    mcp: [...core, 'bus', 'http', 'tasks', 'ask'],
    runtime: 'anything',
    cli: 'anything',
    testing: 'anything',
    index: 'anything',
    driver: 'anything',
    // Types only: see the test of its size.
    client: ['errors', 'event', 'ask', 'tasks'],
    react: ['event', 'ask', 'client'],
    // Runs in browsers.
    'ag-ui': [],
  }
  const offences = source.flatMap(file => {
    const from = unit(file)
    const may = from.startsWith('drivers/') ? [...core, 'bus', 'kafka', 'blobs', 'drivers/shared'] : allowed[from]
    if (may === undefined) return [`${file}: ${from} has no place in the import rule (test/tidy.test.ts)`]
    return references(file)
      .filter(
        path => !path.startsWith('src/') || !(may === 'anything' || unit(path) === from || may.includes(unit(path))),
      )
      .map(path => `${file}: must not import ${path}`)
  })
  expect(offences).toEqual([])
})

test('relative imports name the file, with .ts', () => {
  const offences = code.flatMap(file =>
    [...read(file).matchAll(/^(?:import|export|\}).*? from '(\.[^']*)'/gm)]
      .filter(([, path]) => !/\.(ts|mjs|json)$/.test(path!))
      .map(([, path]) => `${file}: ${path}`),
  )
  expect(offences).toEqual([])
})

test('every file in src is reached from what the package exports', () => {
  const targets = Object.values(manifest.exports).map(target => (typeof target === 'string' ? target : target.default))
  const entries = [...targets, manifest.bin.tidings]
    .filter(target => target.endsWith('.js'))
    .map(target => join(target).replace(/^dist/, 'src').replace(/\.js$/, '.ts'))
  expect(entries.filter(entry => !source.includes(entry))).toEqual([])

  const reached = new Set(entries)
  for (const file of reached) for (const path of references(file)) reached.add(path)
  expect(source.filter(file => !reached.has(file))).toEqual([])
})

/** What a file imports when it is loaded: neither types nor `await import()`. */
const loadedBy = (file: string) =>
  [...read(file).matchAll(/^(?:import|export)\b(?! type\b)[^'"`]*?\bfrom '([^']+)'|^import '([^']+)'/gm)].map(
    ([, from, bare]) => (from ?? bare)!,
  )

test('an app loads at its start only the packages that every app needs', () => {
  const reached = new Set(['src/index.ts'])
  const packages = new Set<string>()
  for (const file of reached)
    for (const name of loadedBy(file)) {
      if (name.startsWith('.')) reached.add(join(dirname(file), name))
      else if (!name.startsWith('node:')) packages.add(name)
    }
  expect([...packages].toSorted()).toEqual(['@ai-sdk/provider', '@opentelemetry/api', 'croner'])
})

test('what the console imports of the sources runs in a browser', () => {
  const reached = new Set(
    files('console/src/**/*.{ts,tsx}').flatMap(file =>
      loadedBy(file).flatMap(name => (name.includes('/src/') ? [join(dirname(file), name)] : [])),
    ),
  )
  expect(reached).toContain('src/trace/slim.ts')
  const offences: string[] = []
  for (const file of reached)
    for (const name of loadedBy(file)) {
      // vite.config.ts replaces these by files of the console.
      const isReplaced =
        name.startsWith('node:') && existsSync(join(root, `console/src/lib/${name.replace(':', '-')}.ts`))
      if (name.startsWith('.')) reached.add(join(dirname(file), name))
      else if (!isReplaced) offences.push(`${file}: must not import ${name}`)
    }
  expect(offences).toEqual([])
})

test('files stay small', () => {
  const offences = code.map(file => `${file}: ${read(file).split('\n').length} lines`)
  expect(offences.filter(offence => Number(/(\d+) lines$/.exec(offence)![1]) > 400)).toEqual([])
})

/** The number of parameters in the list that opens at `open`. */
function countParameters(text: string, open: number): number {
  const list = text.slice(open).replaceAll(/\/\*[^]*?\*\/|\/\/.*|=>/g, '')
  let depth = 0
  let count = 0
  let isEmpty = true
  for (const character of list) {
    if ('([{<'.includes(character)) depth++
    else if (')]}>'.includes(character)) depth--
    if (depth === 0) break
    if (character === ',' && depth === 1) isEmpty = true
    else if (isEmpty && !/[(\s]/.test(character)) {
      isEmpty = false
      count++
    }
  }
  return count
}

test('a constructor has at most three parameters', () => {
  const sample = 'constructor(a: Map<string, A>, { b, c }: B, readonly d = (e: E, f: F) => 1, // g\n)'
  expect(countParameters(sample, sample.indexOf('('))).toBe(3)
  expect(countParameters('constructor() {', 'constructor'.length)).toBe(0)
  const offences = source.flatMap(file => {
    const text = read(file)
    return [...text.matchAll(/\bconstructor\(/g)]
      .map(({ 0: head, index }) => countParameters(text, index + head.length - 1))
      .filter(count => count > 3)
      .map(count => `${file}: a constructor with ${count} parameters: give it an object with named fields`)
  })
  expect(offences).toEqual([])
})

test('no unfinished work is marked', () => {
  const mark = new RegExp(['TO' + 'DO', 'FIX' + 'ME', 'XX' + 'X'].map(word => String.raw`\b${word}\b`).join('|'))
  expect(code.filter(file => mark.test(read(file)))).toEqual([])
})

test('no test is switched off or singled out', () => {
  const mark = /\b(?:test|it|describe)(?:\.\w+)*\.(?:only|skip|todo|fails)\b|\bx(?:it|describe)\(/
  expect(tests.filter(file => mark.test(read(file)))).toEqual([])
})

test('every error code is in the table, and used', () => {
  const table = [...read('src/errors.ts').matchAll(/^ {2}(E_[A-Z_]+):/gm)].map(([, name]) => name!)
  const used = new Set(
    source.filter(file => file !== 'src/errors.ts').flatMap(file => read(file).match(/\bE_[A-Z_]+\b/g) ?? []),
  )
  expect([...used].filter(name => !table.includes(name))).toEqual([])
  expect(table.filter(name => !used.has(name))).toEqual([])
})

/** Relative links of the Markdown files, as `file: link`, whose file is not in `there` or has no such heading. */
function brokenLinks(markdown: string[], isThere: (path: string) => boolean): string[] {
  return markdown.flatMap(file =>
    [...prose(file).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, link]) => link!)
      .filter(link => {
        if (/^[a-z]+:/.test(link)) return false
        const [path = '', heading] = link.split('#')
        const target = path === '' ? file : join(dirname(file), decodeURI(path))
        return !isThere(target) || (heading !== undefined && !anchorsOf(target).has(heading))
      })
      .map(link => `${file}: ${link}`),
  )
}

const prose = (file: string) => read(file).replace(/^ *```[^]*?^ *```/gm, '')

/** The anchors that GitHub gives to headings. Large pages are the target of many links. */
function anchorsOf(file: string): Set<string> {
  const known = anchors.get(file)
  if (known) return known
  const slugs = [...prose(file).matchAll(/^#+ (.*)$/gm)].map(([, heading]) =>
    heading!
      .toLowerCase()
      .replace(/[^\p{L}\p{N}_ -]/gu, '')
      .replaceAll(' ', '-'),
  )
  const found = new Set(slugs)
  anchors.set(file, found)
  return found
}
const anchors = new Map<string, Set<string>>()

test('relative links in Markdown point at files and headings', () => {
  const markdown = files('*.md', '{docs,examples,bench,deploy}/**/*.md')
  expect(brokenLinks(markdown, path => existsSync(join(root, path)))).toEqual([])
})

test('CONTRIBUTING names files that exist', () => {
  const named = [...prose('CONTRIBUTING.md').matchAll(/`((?:\.ci|src|test|docs|examples|scripts)\/[^`]*)`/g)]
  const paths = named.map(([, path]) => path!).filter(path => !/[A-Z]{4}/.test(path))
  expect(paths.length).toBeGreaterThan(10)
  expect(paths.filter(path => !existsSync(join(root, path)))).toEqual([])
})

test('links of published pages point into the package', () => {
  const options = ['--dry-run', '--json', '--ignore-scripts']
  const listed = execFileSync('npm', ['pack', ...options], { cwd: root, encoding: 'utf8', stdio: 'pipe' })
  const [packed] = JSON.parse(listed) as [{ files: { path: string }[] }]
  const paths = packed.files.map(({ path }) => path)
  const pages = paths.filter(path => path.endsWith('.md'))
  expect(pages).toContain('README.md')
  expect(pages.some(path => path.startsWith('docs/'))).toBe(true)
  expect(brokenLinks(pages, path => paths.includes(path))).toEqual([])
  // npm takes a minute on a machine that does much else.
}, 300_000)

test('package-lock.json lists every platform', () => {
  // npm leaves out of the lock what the registry did not have at that moment, and then `npm ci` fails elsewhere.
  const { packages } = JSON.parse(read('package-lock.json')) as {
    packages: Record<string, { optionalDependencies?: Record<string, string> }>
  }
  const offences = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter(name => !packages[`${path}/node_modules/${name}`] && !packages[`node_modules/${name}`])
      .map(name => `${name}, wanted by ${path}`),
  )
  expect(offences).toEqual([])
})

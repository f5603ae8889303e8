import type { ApiEntry, ApiSymbol } from './api.ts'

/* The pages of the API reference, and the file that lists the public surface. */

const paths: Readonly<Record<string, { page: string; about: string }>> = {
  tidings: { page: 'tidings.md', about: 'What apps are made of, and how they are started and asked.' },
  'tidings/client': {
    page: 'client.md',
    about: 'A client of the gateway for browsers: see [In the browser](../client.md).',
  },
  'tidings/react': { page: 'react.md', about: 'Hooks for React: see [In the browser](../client.md#react).' },
  'tidings/testing': { page: 'testing.md', about: 'Test agents, workflows and whole apps, with any test runner.' },
  'tidings/testing/conformance': {
    page: 'conformance.md',
    about: 'Test a driver against the contract, and programs against faults of brokers. Needs vitest and fast-check.',
  },
  'tidings/taps': {
    page: 'taps.md',
    about: 'Record what passes between existing programs: the parts that `tidings tap` is made of.',
  },
  'tidings/ag-ui': {
    page: 'ag-ui.md',
    about:
      'A client of AG-UI that goes on after a reload and a lost connection: see [AG-UI](../ag-ui.md). Needs `@ag-ui/client`.',
  },
  'tidings/strangler': {
    page: 'strangler.md',
    about: 'Puts an agent in the place of old code: see [Replace old code](../strangler.md).',
  },
  'tidings/mcp': {
    page: 'mcp.md',
    about: 'Tools of MCP servers: see [MCP](../mcp.md). Needs `@modelcontextprotocol/client`.',
  },
  'tidings/driver': {
    page: 'driver.md',
    about: 'What the author of a driver needs: see [Write a driver](../custom-driver.md).',
  },
  'tidings/drivers/sqlite': { page: 'sqlite.md', about: 'The embedded log, opened by your own code.' },
  'tidings/drivers/nats': { page: 'nats.md', about: 'The log on NATS JetStream, opened by your own code.' },
  'tidings/drivers/kafka': {
    page: 'kafka.md',
    about: 'The log on Kafka, opened by your own code. Needs `@platformatic/kafka`.',
  },
}

const note = 'This page is generated from the doc comments of the sources: `node scripts/docs.ts`.'

/** Each page of the reference by its path, and the surface. */
export function apiPages(entries: readonly ApiEntry[]): Map<string, string> {
  const pages = entries.map(entry => [`docs/api/${pathOf(entry).page}`, pageOf(entry)] as const)
  return new Map([['docs/api/README.md', overview(entries)], ...pages, ['docs/api/surface.txt', surface(entries)]])
}

function pathOf({ name }: ApiEntry) {
  const path = paths[name]
  if (!path) throw new Error(`scripts/api-pages.ts does not say how the page of ${name} is called`)
  return path
}

const overview = (entries: readonly ApiEntry[]) =>
  [
    '# API reference',
    note,
    [
      '| import from | |',
      '|---|---|',
      ...entries.map(entry => `| [\`${entry.name}\`](${pathOf(entry).page}) | ${pathOf(entry).about} |`),
    ].join('\n'),
    '[surface.txt](surface.txt) lists every declaration without comments.',
    '',
  ].join('\n\n')

function pageOf(entry: ApiEntry): string {
  const [functions, others] = [true, false].map(is => entry.symbols.filter(({ kind }) => (kind === 'function') === is))
  const groups = Object.entries(Object.groupBy([...functions!, ...others!], groupOf)).toSorted(([a], [b]) =>
    a < b ? -1 : 1,
  )
  const all = [...entry.symbols, ...entry.unexported]
  const list = groups.map(([group, symbols]) => `**${group}**: ${symbols!.map(linkTo).join(', ')}`)
  return [
    `# ${entry.name}`,
    `${pathOf(entry).about} ${note}`,
    ...list,
    ...groups.flatMap(([group, symbols]) => [`## ${group}`, ...symbols!.flatMap(symbol => section(symbol, all))]),
    ...(entry.unexported.length > 0
      ? [
          '## Types behind these',
          'You cannot import these by name.',
          ...entry.unexported.flatMap(symbol => section(symbol, all)),
        ]
      : []),
    '',
  ].join('\n\n')
}

const groupNames: Readonly<Record<string, string>> = { bus: 'the log', tasks: 'tasks and calls', ask: 'ask and wait' }

/** By the folder of the source. */
function groupOf({ file }: ApiSymbol): string {
  const [folder, nested] = file.split('/')
  const name = nested === undefined ? 'events and errors' : (groupNames[folder!] ?? folder!)
  return name[0]!.toUpperCase() + name.slice(1)
}

const headingOf = ({ kind, name }: ApiSymbol) => (kind === 'function' ? `${name}()` : `${kind} ${name}`)

const linkTo = (symbol: ApiSymbol) =>
  `[${symbol.kind === 'function' ? `${symbol.name}()` : symbol.name}](#${headingOf(symbol).toLowerCase().replace('()', '').replace(' ', '-')})`

const fenced = (code: string) => `\`\`\`ts\n${code}\n\`\`\``

function section(symbol: ApiSymbol, all: readonly ApiSymbol[]): string[] {
  const { doc, code, name } = symbol
  const words = new Set(withoutComments(code).match(/\b[A-Za-z]\w+\b/g))
  // Not what is a type parameter here.
  const isOwn = (word: string) => word === name || code.includes(`const ${word} extends `)
  const mentioned = all.filter(other => !isOwn(other.name) && other.kind !== 'function' && words.has(other.name))
  return [
    `### ${headingOf(symbol)}`,
    ...(doc.text === '' ? [] : [doc.text]),
    fenced(code),
    ...(doc.throws.length > 0 ? [`Throws ${doc.throws.join('; ')}.`] : []),
    ...doc.examples.map(fenced),
    ...(mentioned.length > 0 ? [`See ${mentioned.map(linkTo).join(', ')}.`] : []),
  ]
}

const withoutComments = (code: string) =>
  code
    .replaceAll(/^\s*\/\*\*[^]*?\*\/\n/gm, '')
    .replaceAll(/ *\/\*[^]*?\*\/ ?/g, '')
    .replaceAll(/^\s*\/\/.*\n/gm, '')

/** What a change of the API changes, and a change of its comments does not. */
function surface(entries: readonly ApiEntry[]): string {
  const lines = entries.flatMap(({ name, symbols, unexported }) => [
    `=== ${name} ===`,
    ...symbols.map(({ code }) => withoutComments(code)),
    ...(unexported.length > 0 ? [`--- mentioned in ${name}, not exported ---`] : []),
    ...unexported.map(({ code }) => withoutComments(code)),
  ])
  return `The public API: what users of the package may import, and the types behind it. Written by node scripts/docs.ts.\nA test fails while it differs from the code, so that a change of the API is seen in a review.\n\n${lines.join('\n\n')}\n`
}

import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseDoc } from '../../scripts/api.ts'
import * as tidings from '../../src/index.ts'
import * as testing from '../../src/testing/index.ts'
import * as client from '../../src/client/index.ts'
import * as stranglers from '../../src/runtime/strangler.ts'
import * as mcp from '../../src/mcp/index.ts'
import * as taps from '../../src/taps/index.ts'

/* The examples of the doc comments, as programs that the compiler can check. */

const root = join(import.meta.dirname, '../..')

/** What an example may use without declaring it, in addition to what the package exports. */
const names = {
  assert: `typeof import('node:assert/strict')`,
  z: `typeof import('zod').z`,
  show: `(value: unknown) => void`,
  model: `import('tidings').Model`,
  search: `import('tidings').Tool<{ query: string }, string[]>`,
  charge: `import('tidings').Tool<{ order: string; amount: number }, { receipt: string }>`,
  editor: `import('tidings').Approval`,
  helper: `import('tidings').Agent<string, string>`,
  writer: `import('tidings').Agent<{ topic: string }, { title: string }>`,
  placed: `import('tidings').EventType<{ order: string; amount: number }>`,
  paid: `import('tidings').EventType<{ order: string; amount: number }>`,
  booked: `import('tidings').EventType<{ order: string; amount: number }>`,
  refund: `import('tidings').Tool<{ receipt: string }, null>`,
  buyer: `import('tidings').Agent<{ order: string }, unknown>`,
  orders: `import('tidings').Workflow<{
    event: { order: string; amount: number }
    payment?: { order: string; amount: number }
  }>`,
  order: 'string',
  amount: 'number',
  state: 'string',
  call: 'string',
  hash: 'string',
  url: 'string',
  request: 'Request',
  shop: `import('tidings').App`,
  ctx: `import('tidings').ScriptContext`,
  turn: `import('tidings').TurnContext`,
  context: `import('tidings').ToolContext`,
  client: `import('tidings').Client`,
  browser: `import('tidings/client').GatewayClient`,
  task: `import('tidings/client').RemoteTask<string>`,
  running: `import('tidings').RunningApp`,
  handle: `import('tidings').TaskHandle<{ title: string }>`,
  world: `import('tidings/testing').TestApp`,
  reports: `import('tidings/strangler').Strangler<{ user: string }, { title: string }>`,
}

const exported = [
  ...Object.keys(tidings).map(name => [name, `typeof import('tidings').${name}`]),
  ...Object.keys(client).map(name => [name, `typeof import('tidings/client').${name}`]),
  ...Object.keys(stranglers).map(name => [name, `typeof import('tidings/strangler').${name}`]),
  ...Object.keys(mcp).map(name => [name, `typeof import('tidings/mcp').${name}`]),
  ...Object.keys(taps).map(name => [name, `typeof import('tidings/taps').${name}`]),
  ...Object.keys(testing).map(name => [name, `typeof import('tidings/testing').${name}`]),
]

/** Each example in `src/` as a file, whose name says where it is, and a file that declares the names. */
export function examplePrograms(): Record<string, string> {
  const declared = Object.entries<string>({ ...Object.fromEntries(exported), ...names })
  const lines = declared.map(([name, type]) => `  const ${name}: ${type}`)
  const sources = globSync('src/**/*.ts', { cwd: root }).filter(file => !file.endsWith('.test.ts'))
  const examples = sources.flatMap(file =>
    [...readFileSync(join(root, file), 'utf8').matchAll(/^ *\/\*\*[^]*?\*\//gm)]
      .flatMap(([comment]) => parseDoc(comment.trim()).examples)
      .map((code, i) => [`${file.replaceAll('/', '.')}.${i + 1}.ts`, `${code}\nexport {}\n`]),
  )
  return { 'names.ts': `declare global {\n${lines.join('\n')}\n}\nexport {}\n`, ...Object.fromEntries(examples) }
}

import { resolve } from 'node:path'
import { manifest } from '../manifest.ts'

const { version, dependencies } = manifest

/** The checkout, if Tidings runs from its sources; a new project then depends on it, as built by `npm run build`. */
export const checkout = import.meta.filename.endsWith('.ts') ? resolve(import.meta.dirname, '../..') : undefined

/** The files of a new project, by name. */
export const projectFiles = (name: string): Record<string, string> => ({
  'package.json': `${JSON.stringify(packageJson(name), null, 2)}\n`,
  'app.ts': app,
  'app.test.ts': appTest,
  'README.md': readme(name),
  '.gitignore': 'node_modules/\n.tidings/\n.env\n',
})

const packageJson = (name: string) => ({
  name,
  private: true,
  type: 'module',
  scripts: { dev: 'tidings dev', start: 'tidings run', test: 'node --test' },
  dependencies: { tidings: checkout ? `file:${checkout}` : `^${version}`, zod: dependencies.zod },
  // Node itself, so that the project does not depend on the Node of the machine.
  devDependencies: { node: '^24.16.0' },
  allowScripts: { node: true },
})

const app = `import { agent, app, modelFromEnvironment, tool } from 'tidings'
import { z } from 'zod'

const notes = [
  { id: 'hours', text: 'The shop is open from 9 to 18 on weekdays. On Sunday it is open from 11 to 16.' },
  { id: 'returns', text: 'Goods can be returned within 30 days. Bring the receipt.' },
  { id: 'parking', text: 'Parking behind the house is free for two hours.' },
]

// A tool is ordinary code. It runs wherever a worker hosts it.
const search = tool('notes.search', {
  description: 'Search the notes of the shop',
  input: z.object({ query: z.string() }),
  run: ({ query }) => {
    const words = query.toLowerCase().match(/\\p{L}{4,}/gu) ?? []
    return notes.filter(note => words.some(word => note.text.toLowerCase().includes(word)))
  },
})

// The offline model needs no key and no network. TIDINGS_MODEL=openai/gpt-5 or anthropic/… uses a real one.
export const helper = agent('helper', {
  on: 'question.asked',
  model: await modelFromEnvironment(),
  instructions: 'Answer the question from the notes of the shop, and cite them.',
  tools: [search],
})

export default app({ use: [helper, search] })
`

const appTest = `import { test } from 'node:test'
import { callTool, given, reply, result } from 'tidings/testing'
import { helper } from './app.ts'

// No log, no model, no network: the test plays the model and the tool.
test('the helper searches the notes, then answers', async () => {
  const question = given(helper, { event: { type: 'question.asked', data: { text: 'When are you open?' } } })
  await question
    .when(callTool('notes.search', { query: 'open' }))
    .emits([{ type: 'tool.invoke', target: 'notes.search', data: { input: { query: 'open' } } }])
  await question
    .when(result('notes.search', [{ id: 'hours', text: 'The shop is open from 9 to 18.' }]), reply('From 9 to 18.'))
    .emits([{ type: 'agent.task.completed', data: { output: 'From 9 to 18.' } }])
})
`

const readme = (name: string) => `# ${name}

One agent and one tool, on a durable event log. Nothing here needs a key.

    npm install
    npx tidings dev            run app.ts, restart it after every change, and show every event
    npm test                   test the agent, without a log or a model (app.test.ts)

In a second terminal:

    npx tidings publish question.asked '{"text":"When are you open on Sunday?"}'
    npx tidings trace last     show everything that followed from it
    npx tidings tail           show events as they happen
    npx tidings attention      list what a person should look at

The agent subscribes to \`question.asked\`. You can publish such an event on the command line, through the HTTP gateway
(\`curl -H 'content-type: application/json' -d '{"type":"question.asked","data":{"text":"…"}}' localhost:4110/events\`),
or from another agent. The log is stored in \`.tidings/\`.
`

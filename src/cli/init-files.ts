import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { manifest } from '../manifest.ts'

/* The files of a new project: those of `templates/NAME`, and those that all templates share. */

const folder = join(import.meta.dirname, '../../templates')

const descriptions = {
  agent: 'a model agent with a tool, which answers questions',
  workflow: 'an order that waits for its payment, reminds the customer, and asks a person',
  chat: 'a model agent that you talk with in the terminal',
  webhook: 'a signed webhook, and an agent that acts on it',
} as const

export type TemplateName = keyof typeof descriptions

export const templateNames = Object.keys(descriptions) as TemplateName[]

/** The templates with what they show, one a line. */
export const templateHelp = templateNames.map(name => `  ${name.padEnd(10)}${descriptions[name]}`).join('\n')

/** Commands to try in a second terminal while the app runs, one a line, indented. */
export const commandsToTry = (template: TemplateName) => readFileSync(join(folder, template, 'try.md'), 'utf8')

/** The files of a new project, by name. `source`: where npm gets Tidings from. */
export function projectFiles(name: string, template: TemplateName, source: string): Record<string, string> {
  const read = (file: string) => readFileSync(join(folder, file), 'utf8')
  const code = readdirSync(join(folder, template)).filter(file => file.endsWith('.ts'))
  const secret = template === 'webhook' ? `whsec_${randomBytes(32).toString('base64')}` : undefined
  return {
    'package.json': json(packageJson(name, template, source)),
    'tsconfig.json': json(tsconfig),
    ...Object.fromEntries(code.map(file => [file, read(join(template, file))])),
    'README.md': read('README.md').replace('NAME', name).replace('TRY', commandsToTry(template)),
    'AGENTS.md': read('AGENTS.md'),
    '.env.example': settings(template, 'whsec_'),
    ...(secret !== undefined && { '.env': settings(template, secret) }),
    '.gitignore': 'node_modules/\n.tidings/\n.env\n',
  }
}

const json = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`

const packageJson = (name: string, template: TemplateName, source: string) => ({
  name,
  private: true,
  type: 'module',
  scripts: {
    dev: 'tidings dev',
    start: 'tidings run',
    ...(template === 'chat' && { chat: 'node --env-file-if-exists=.env chat.ts' }),
    test: 'node --test',
    typecheck: 'tsc',
  },
  dependencies: { tidings: source, zod: manifest.dependencies.zod },
  devDependencies: {
    '@types/node': manifest.devDependencies['@types/node'],
    // Node itself, so that the project does not depend on the Node of the machine.
    node: '^24.16.0',
    typescript: manifest.devDependencies.typescript,
  },
  allowScripts: { node: true },
})

/** Node runs the sources as they are, so the compiler only checks them. */
const tsconfig = {
  compilerOptions: {
    noEmit: true,
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    types: ['node'],
    strict: true,
    noUncheckedIndexedAccess: true,
    allowImportingTsExtensions: true,
    erasableSyntaxOnly: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
  },
  include: ['*.ts'],
}

const settings = (template: TemplateName, secret: string) =>
  [
    ...(template === 'agent' || template === 'chat'
      ? [
          '# The model: openai/NAME, anthropic/NAME, google/NAME, or URL#NAME of a server with the API of OpenAI. Default: offline.',
          '# Install its package first: npm install @ai-sdk/openai',
          '# TIDINGS_MODEL=openai/gpt-5',
          '# OPENAI_API_KEY=',
        ]
      : []),
    ...(template === 'webhook' ? ['# The secret that signs the webhooks of orders.', `ORDERS_SECRET=${secret}`] : []),
    '# The log: a folder, or a server.',
    '# TIDINGS_HOME=.tidings',
    '# TIDINGS_BUS=nats://127.0.0.1:4222/shop',
    '',
  ].join('\n')

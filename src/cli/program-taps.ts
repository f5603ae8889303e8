import { Option, type Command } from 'commander'
import { addCommand as add } from './add-command.ts'
import { parseCount, usageError } from './output.ts'

/** The verbs below `tidings tap`. */
export function addTaps(root: Command) {
  const tap = root.command('tap').description('record what passes between programs, without changing it')
  const proxy = (command: Command, name: string, port: string) =>
    command
      .addOption(new Option('--name <name>', 'name of the tap on the log').default(name, name))
      .addOption(new Option('--port <port>', 'port to listen on').default(port, port))
      .option('--host <address>', 'address to listen on (default: 127.0.0.1)')
      .option('--user-header <name>', 'the header that names the user')
      .option('--tenant-header <name>', 'the header that names the tenant')
      .option('--app <app>', 'the app file whose redaction rules apply')
      .option('--allow-remote', 'listen on an address that other machines reach, without knowing who they are')
  const model = (command: Command) =>
    command
      .option('--tenant <name>', 'the tenant of its calls (default: default)')
      .option('--price <model=input,output...>', 'price per million tokens, such as gpt-5.2*=1.25,10')
      .option('--budget-tokens <n>', 'say so when a correlation has spent this many tokens', tokensOf)
      .option('--budget-cost <amount>', 'say so when a correlation has spent this much', amountOf)
      .option('--enforce', 'refuse further requests of a correlation that has spent its budget, with 429')
  model(
    proxy(
      add(tap, 'openai', async () => (await import('./tap-model.ts')).tapOpenaiCommand),
      'openai',
      '4010',
    ),
  )
    .description('record the calls of models by programs that find OpenAI at OPENAI_BASE_URL')
    .addOption(upstreamOption('https://api.openai.com/v1'))
    .addHelpText('after', tapModelHelp)
  model(
    proxy(
      add(tap, 'anthropic', async () => (await import('./tap-model.ts')).tapAnthropicCommand),
      'anthropic',
      '4011',
    ),
  )
    .description('record the calls of models by programs that find Anthropic at ANTHROPIC_BASE_URL')
    .addOption(upstreamOption('https://api.anthropic.com'))
  proxy(
    add(tap, 'mcp [command...]', async () => (await import('./tap-mcp.ts')).tapMcpCommand),
    'mcp',
    '4112',
  )
    .description('record the tool calls of an MCP server: of a command, or over HTTP with --upstream')
    .option('--upstream <url>', 'address of an MCP server over HTTP')
    .option('--user <name>', 'for a command: the user for whom calls are made')
    .addHelpText('after', tapMcpHelp)
  proxy(
    add(tap, 'http', async () => (await import('./tap-http.ts')).tapHttpCommand),
    'http',
    '4113',
  )
    .description('forward HTTP to a service, and record named routes')
    .requiredOption('--upstream <url>', 'base URL of the service')
    .option('--route <route...>', "a route to record, such as 'POST /reports' or 'GET /reports/:id'")
    .option('--max-body <bytes>', 'record larger bodies as size and digest only (default: 1048576)', bytesOf)
}

const upstreamOption = (url: string) => new Option('--upstream <url>', 'base URL of the provider').default(url, url)

const tapModelHelp = `
  tidings tap openai
  tidings tap openai --name local --upstream http://localhost:11434/v1`

const tapMcpHelp = `
  tidings tap mcp --name files -- npx -y @modelcontextprotocol/server-filesystem /data
  tidings tap mcp --name search --upstream https://mcp.example.com/mcp`

const tokensOf = (text: string) => parseCount('--budget-tokens', text)

function amountOf(text: string): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text)
  throw usageError(`--budget-cost "${text}" is not valid: expected an amount such as 2.50`)
}

const bytesOf = (text: string) => parseCount('--max-body', text)

import { Command, Option } from 'commander'
import { loadEnvFile } from './env-file.ts'
import { templateHelp, templateNames } from './init-files.ts'
import { addCommand as add } from './add-command.ts'
import { addTaps } from './program-taps.ts'
import { parseCount } from './output.ts'
import { manifest } from '../manifest.ts'

/* The commands and their options. Each command is loaded when it is called, so that --help is fast. */

const publishHelp = `
JSON is the data of the event; - reads it from standard input.

  tidings publish order.paid '{"total":12}'
  tidings publish agent.invoke '{"input":"Hello"}' --target helper`

const askHelp = `
INPUT is JSON, or text.

  tidings ask helper 'When is the shop open?'
  tidings ask refund '{"order":"A-17"}' --key refund-A-17`

const copyHelp = `
Stop every process that uses the log first. A copy that was interrupted continues when it is run again; workers are refused on the new log
until it is verified.

  tidings copy --from sqlite --to nats://localhost:4222/shop`

const mcpHelp = `
An app publishes what its option mcp lists. In the configuration of the client:

  { "command": "npx", "args": ["tidings", "mcp", "--home", "/path/to/project/.tidings"] }`

export function program(): Command {
  const root = new Command('tidings')
    .description('Run agents, tools and workflows on a durable event log, and inspect what they did.')
    .version(manifest.version)
    .option('--home <folder>', 'data folder (default: TIDINGS_HOME, or ./.tidings)')
    .option('--json', 'print one JSON object per line')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .hook('preAction', (_, command) => prepare(command))
  add(root, 'dev [app]', async () => (await import('./dev.ts')).devCommand).description(
    'run an app, restart it after every change, and show its events',
  )
  add(root, 'run [app]', async () => (await import('./run.ts')).runCommand)
    .description('run an app')
    .option('--only <roles>', 'run only these roles: agents,tools,models,gateway,triggers')
  add(root, 'ask <agent> <input>', async () => (await import('./ask.ts')).askCommand)
    .description('ask an agent or workflow, and show its answer as it comes')
    .option('--thread <name>', 'continue the conversation of this name')
    .option('--key <key>', 'idempotency key: a second request with this key is the same request')
    .option('--deadline <duration>', 'cancel the task if it has not ended by then, from now')
    .addHelpText('after', askHelp)
  add(root, 'publish <type> [json]', async () => (await import('./publish.ts')).publishCommand)
    .description('publish an event')
    .option(
      '--correlation <id>',
      'add the event to this correlation: its id, at least its last four characters, or last',
    )
    .option('--id <id>', 'id of the event; publishing the same id again has no effect')
    .option('--target <name>', 'the agent that receives it')
    .option('--app <app>', 'the app file that declares the type; data that does not match is refused')
    .option('--wait', 'show what follows, until every task that took the event has ended')
    .addOption(new Option('--within <duration>', 'how long to wait').default('1m', '1m'))
    .addHelpText('after', publishHelp)
  add(root, 'mcp', async () => (await import('./mcp.ts')).mcpCommand)
    .description('serve what apps publish to an MCP client, over standard input and output')
    .addOption(
      new Option('--wait <duration>', 'how long a call waits before it answers with the id of its task').default(
        '50s',
        '50s',
      ),
    )
    .addHelpText('after', mcpHelp)
  add(root, 'tail', async () => (await import('./tail.ts')).tailCommand)
    .description('show events as they happen')
    .option('--type <pattern...>', 'only these types, such as order.paid, order.* or order.>')
    .option('--correlation <id>', 'only this correlation: its id, at least its last four characters, or last')
    .option('--since <time>', 'start at a time (1h ago, a date), at a cursor, or at the beginning')
    .option('--turns', 'also show the turns of tasks')
  add(root, 'trace [correlation]', async () => (await import('./trace.ts')).traceCommand)
    .description('show everything that followed from an event; without an argument, list recent correlations')
    .option('--limit <n>', 'maximum number of entries, newest first', limitOf, 20)
  addLists(root)
  add(root, 'status', async () => (await import('./status.ts')).statusCommand).description(
    'show consumer groups and their lag, what is paused, and how durable the log is',
  )
  add(root, 'replay', async () => (await import('./replay.ts')).replayCommand)
    .description('run recorded turns against the current code, and show every difference')
    .option('--task <id>', 'only this task')
    .option('--correlation <id>', 'only this correlation: its id, at least its last four characters, or last')
    .option('--since <time>', 'only what happened since then: 24h, or a date')
    .option('--until <time>', 'only what happened until then')
    .option('--waiting', 'only waiting tasks, which a deploy of this code would continue')
    .option('--file <slice...>', 'replay exported slices instead of the log')
    .option('--app <app>', 'the app file')
    .option('--accept <file>', 'file of accepted divergences')
    .option('--update', 'write the current divergences to that file')
    .option('--junit <file>', 'also write a JUnit report')
    .option('--expect-at-least <n>', 'fail if fewer tasks were replayed')
    .option('--jobs <n>', 'number of processes (default: number of cores)')
    .addHelpText('after', replayCodes)
  addReruns(root)
  addSlices(root)
  addAttention(root)
  addTriggers(root)
  addWorkflows(root)
  addTaps(root)
  addApprovals(root)
  addKeys(root)
  addStranglers(root)
  add(root, 'pause <kind> <name>', async () => (await import('./pause.ts')).pauseCommand).description(
    'pause an agent, a tool or a model in every process; its deliveries are kept',
  )
  add(root, 'resume <kind> <name>', async () => (await import('./pause.ts')).resumeCommand).description(
    'resume an agent, a tool or a model, and deliver what was kept',
  )
  add(root, 'pin [app]', async () => (await import('./pin.ts')).pinCommand)
    .description('list the tools of the MCP servers of an app, and pin what its models read of them')
    .option('--server <name>', 'only this server')
    .option('--check', 'write nothing; exit with 1 if a server says something else than what is pinned')
  add(root, 'copy', async () => (await import('./copy.ts')).copyCommand)
    .description('move a log to another broker, with everything that its workers need to continue there')
    .requiredOption('--from <bus>', 'address of the log: as in TIDINGS_BUS, or sqlite:FOLDER; its workers are stopped')
    .option('--to <bus>', 'address of an empty log')
    .option('--undo', 'let workers start on --from again, and refuse them on --to')
    .addHelpText('after', copyHelp)
  const broker = root.command('broker').description('run a broker for development, with its data in the data folder')
  add(broker, 'nats', async () => (await import('./broker.ts')).natsCommand)
    .description('run a nats-server that is found on the PATH, or built with Go')
    .addOption(new Option('--port <port>', 'port on 127.0.0.1').default('4222', '4222'))
    .option('--sync-always', 'sync each message to disk before it is acknowledged', true)
    .option('--no-sync-always', 'sync every two minutes: faster, but a power cut loses the messages since then')
  add(broker, 'kafka', async () => (await import('./broker-kafka.ts')).kafkaCommand)
    .description('run Kafka brokers that are found on the PATH, or downloaded with Maven; needs Java 17')
    .addOption(
      new Option('--port <port>', 'port on 127.0.0.1; further brokers have the next ones').default('9092', '9092'),
    )
    .addOption(new Option('--servers <n>', 'number of brokers').choices(['1', '3']).default('1', '1'))
    .option('--sync-always', 'sync each record to disk before it is acknowledged: slower, but survives a power cut')
  add(root, 'init [folder]', async () => (await import('./init.ts')).initCommand)
    .description('create a new project')
    .addOption(new Option('--template <name>', 'what it shows').choices(templateNames).default('agent', 'agent'))
    .addHelpText('after', `\nTemplates:\n${templateHelp}`)
  return root
}

const replayCodes = `
Exit codes:
  0  same: every selected task was replayed; all differences are accepted
  1  diverged: a difference is not accepted
  2  error: wrong usage; the log, the app or a file cannot be used; or the output was closed early
  3  nothing was replayed, or fewer tasks than --expect-at-least
  4  incomplete: some tasks were not replayed; the report names them, with the reason`

function addReruns(root: Command) {
  const effects = [
    '--effects <rules>',
    'what tools, models and steps may do, such as tool/web.search=live,step/clerk=recorded,*=deny (default: live if read-only, else deny)',
  ] as const
  const stub = ['--stub <name=file...>', 'answer calls from a JSON file: tool/web.search=hits.json'] as const
  add(root, 'redrive', async () => (await import('./redrive.ts')).redriveCommand)
    .description('publish recorded external events again, as new events marked as a redrive')
    .option('--correlation <id>', 'events of this correlation: its id, at least its last four characters, or last')
    .option('--task <id>', 'the event that started this task, for its program only')
    .option('--since <time>', 'events since then: 24h, or a date')
    .option('--until <time>', 'events until then')
    .option('--type <pattern...>', 'only these types, such as order.paid, order.* or order.>')
    .option(...effects)
    .option(...stub)
    .option('--app <app>', 'the app file')
    .option('--dry-run', 'only print what would be published, and what tools and models may do')
  add(root, 'retry [task]', async () => (await import('./retry.ts')).retryCommand)
    .description(
      'retry failed tasks from where they failed; for a task that has not ended, redeliver its parked deliveries',
    )
    .option('--agent <name>', 'failed tasks of this agent')
    .option('--code <code>', 'failed tasks with this error code, such as E_TOOL_THREW')
    .option(
      '--since <time>',
      'only tasks that failed since then: 1h, or a date (default: all that tidings attention lists)',
    )
    .option('--until <time>', 'only tasks that failed until then')
    .option('--yes', 'retry them; without it, only count them')
  add(root, 'fork', async () => (await import('./fork.ts')).forkCommand)
    .description('start a new task from an earlier turn of another one, with the current code')
    .requiredOption('--from <task@turn>', 'the task, and the first turn to decide again')
    .option('--edit <file>', 'JSON file with new data for inputs of that turn: { "EVENT-ID": DATA }')
    .option('--reissue', 'repeat the open calls, even if the log has their answers')
    .option(...effects)
    .option(...stub)
    .option('--app <app>', 'the app file')
}

function addSlices(root: Command) {
  add(root, 'export [file]', async () => (await import('./export.ts')).exportCommand)
    .description('write part of the log to a file (.jsonl, .jsonl.gz or .jsonl.zst); - is standard output')
    .option('--correlation <id>', 'this correlation: its id, at least its last four characters, or last')
    .option('--task <id>', 'this task')
    .option('--since <time>', 'every correlation with an event since then: 24h, or a date')
    .option('--until <time>', 'events until then')
    .option('--all', 'the whole log')
    .option('--app <app>', 'the app file whose redaction rules also apply')
    .option('--force', 'overwrite the file')
  add(root, 'import <file>', async () => (await import('./import.ts')).importCommand).description(
    'copy an exported slice to an empty log, to read, replay or fork it',
  )
}

function addLists(root: Command) {
  add(root, 'show <id>', async () => (await import('./show.ts')).showCommand).description(
    'print an event or a task in full; <id>: the full id, or at least its last four characters',
  )
  add(root, 'why <id>', async () => (await import('./why.ts')).whyCommand).description(
    'show what caused an event, or the end of a task; <id>: the full id, or at least its last four characters',
  )
  add(root, 'find <words...>', async () => (await import('./find.ts')).findCommand)
    .description('search the log, newest first; inv* matches every word that starts with inv')
    .option('--type <pattern>', 'only this type, such as order.paid, order.* or order.>')
    .option('--since <time>', 'only events since then: 24h, or a date such as 2026-11-20')
    .option('--limit <n>', 'maximum number of entries', limitOf, 20)
  add(root, 'tasks', async () => (await import('./tasks.ts')).tasksCommand)
    .description('list tasks, most recently active first')
    .option('--program <name>', 'only tasks of this agent')
    .option('--state <state>', 'only tasks in this state: running, waiting, completed, failed, cancelled or continued')
    .option('--since <time>', 'only tasks with a turn since then: 24h, or a date such as 2026-11-20')
    .option('--limit <n>', 'maximum number of entries', limitOf, 20)
  add(root, 'top', async () => (await import('./top.ts')).topCommand)
    .description('show live lag, rates, slow tools and models, and cost')
    .option('--once', 'print it once and exit')
}

function addApprovals(root: Command) {
  add(root, 'approvals', async () => (await import('./approvals.ts')).approvalsCommand).description(
    'list requests that wait for a person',
  )
  const answering = (verb: 'approve' | 'deny') =>
    add(root, `${verb} <approval>`, async () => (await import('./approve.ts'))[verb])
      .description(`${verb} a request; <approval>: the full id, or at least its last four characters`)
      .option('--comment <text>', 'a comment for the caller, stored on the log')
  answering('approve').option('--content <json>', 'what is filled in, if the request has a form')
  answering('deny')
}

const reportCodes = `
Exit codes:
  0  parity: no field differs more than the old code varies in itself, and no limit is broken
  1  regression: a field differs, or a limit is broken
  2  error: wrong usage, or the log cannot be used
  3  too few answers were compared`

function addStranglers(root: Command) {
  const strangler = root.command('strangler').description('replace old code: set percentages, roll back, compare')
  add(strangler, 'status [name]', async () => (await import('./strangler.ts')).stranglerStatusCommand).description(
    'show who answers, what was decided last, and what the last minute was like',
  )
  add(strangler, 'set <name> [percent]', async () => (await import('./strangler.ts')).stranglerSetCommand)
    .description('change which requests the candidate answers, in every process: the share of keys, such as 5%')
    .option('--mirror <percent>', 'share of the other requests that also go to the candidate, without effects')
    .option('--always <keys>', 'keys that the candidate answers, separated by commas; "" empties the list')
    .option('--never <keys>', 'keys that it does not answer, separated by commas; "" empties the list')
    .option('--why <text>', 'the reason, stored on the log')
  add(strangler, 'rollback <name>', async () => (await import('./strangler.ts')).stranglerRollbackCommand)
    .description('give all requests back to the old code, in every process')
    .option('--why <text>', 'the reason, stored on the log')
  add(strangler, 'report <name>', async () => (await import('./strangler-report.ts')).stranglerReportCommand)
    .description('show how the answers of the candidate differ from those of the old code, beyond noise')
    .addOption(new Option('--since <time>', 'comparisons since then: 24h, or a date').default('1d', '1d'))
    .option('--html <file>', 'also write the report as a page')
    .option('--parity <percent>', 'share of answers that must agree (default: as the code declares, or 100%)')
    .option('--expect-at-least <n>', 'how many compared answers a verdict needs (default: 50)')
    .option('--console <url>', 'address of the console, for links (default: that of a local gateway)')
    .addHelpText('after', reportCodes)
}

function addKeys(root: Command) {
  const keys = root.command('keys').description('create, list and revoke API keys of the gateway')
  add(keys, 'create <name>', async () => (await import('./keys.ts')).createKeyCommand)
    .description('create a key for a person or service, and print it once')
    .requiredOption('--role <role...>', 'its roles in the policy file')
    .option('--tenant <name>', 'its tenant (default: default)')
    .option('--expires <duration>', 'refuse it after this time, such as 90d (default: never)')
  add(keys, 'list', async () => (await import('./keys.ts')).listKeysCommand).description(
    'list all keys, without their secrets',
  )
  add(keys, 'revoke <id>', async () => (await import('./keys.ts')).revokeKeyCommand).description(
    'revoke a key; every gateway refuses it within seconds',
  )
}

function addAttention(root: Command) {
  const attention = add(root, 'attention', async () => (await import('./attention.ts')).attentionCommand).description(
    'list what needs a person: dead, parked and delayed deliveries, overdue timers, calls that no worker hosts, failed tasks',
  )
  add(attention, 'retry [id]', async () => (await import('./attention.ts')).redeliverCommand)
    .description('redeliver a dead, parked or delayed delivery; for a failed task use tidings retry')
    .option('--key <key>', 'redeliver all deliveries that are parked under this key')
  add(attention, 'discard <id>', async () => (await import('./attention.ts')).discardCommand).description(
    'remove a delivery or a failed task from the list',
  )
  add(attention, 'cancel <task>', async () => (await import('./attention.ts')).cancelCommand)
    .description('cancel a task, its open calls and its children')
    .option('--reason <text>', 'the reason, stored on the log')
}

function addWorkflows(root: Command) {
  const workflow = root.command('workflow').description('list, draw and migrate workflows')
  add(workflow, 'list [app]', async () => (await import('./workflow.ts')).workflowListCommand).description(
    'list the workflows of an app, what they wait for and how many instances run',
  )
  add(workflow, 'graph <name>', async () => (await import('./workflow.ts')).workflowGraphCommand)
    .description('print a workflow as a Mermaid flowchart; with --task, show the progress of an instance')
    .option('--task <id>', 'the instance: its full id, or at least its last four characters')
    .option('--app <app>', 'the app file')
  add(workflow, 'migrate <name>', async () => (await import('./migrate.ts')).migrateCommand)
    .description('move running instances to the current definition in the app')
    .option('--task <id>', 'only this instance (default: all)')
    .option('--app <app>', 'the app file')
    .option('--dry-run', 'only print which instances can be moved, and why others cannot')
}

function addTriggers(root: Command) {
  const trigger = root.command('trigger').description("list an app's triggers and sinks; send a trigger a test event")
  add(trigger, 'list [app]', async () => (await import('./trigger.ts')).triggerListCommand).description(
    "list an app's triggers and sinks, what they publish or take, and where they listen or write",
  )
  add(trigger, 'test <name>', async () => (await import('./trigger.ts')).triggerTestCommand)
    .description('send a test event to a trigger that a worker runs, and show what it publishes')
    .option('--app <app>', 'the app file')
    .addOption(new Option('--within <duration>', 'how long to wait for the event').default('30s', '30s'))
}

const limitOf = (text: string) => parseCount('--limit', text)

/** Runs before every command: sets the data folder, and loads the `.env` of the app. */
function prepare(command: Command) {
  const { home, app } = command.optsWithGlobals<{ home?: string; app?: string }>()
  if (home !== undefined) process.env.TIDINGS_HOME = home
  if (command.name() === 'init') return
  loadEnvFile(command.registeredArguments[0]?.name() === 'app' ? command.args[0] : app)
}

import { Command } from 'commander'
import { TidingsError } from '../errors.ts'
import { loadEnvFile } from './env-file.ts'
import { manifest } from './version.ts'

/* The verbs and their options. What a verb does is loaded when it is called, so that --help is quick. */

const publishHelp = `
JSON is the data of the event; - reads it from the standard input.

  tidings publish order.paid '{"total":12}'
  tidings publish agent.invoke '{"input":"Hello"}' --target helper`

export function program(): Command {
  const root = new Command('tidings')
    .description('Agents, tools and the outside world meet on one durable log.')
    .version(manifest.version)
    .option('--home <folder>', 'data folder (else TIDINGS_HOME, else ./.tidings)')
    .option('--json', 'one JSON object a line')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .hook('preAction', (_, command) => prepare(command))
  root
    .command('dev [app]')
    .description('run an app, again after every change, and show its events')
    .action(async (app, _, command) => (await import('./dev.ts')).devCommand(app, options(command)))
  root
    .command('run [app]')
    .description('run an app')
    .option(
      '--only <roles>',
      'run only these: agents,tools,models,gateway,triggers; says what is left to other workers',
    )
    .action(async (app, _, command) => (await import('./run.ts')).runCommand(app, options(command)))
  root
    .command('publish <type> [json]')
    .description('publish an event')
    .option('--correlation <id>', 'make it part of what happened under this id')
    .option('--id <id>', 'publishing the same id again does nothing')
    .option('--target <name>', 'the agent that it is for')
    .addHelpText('after', publishHelp)
    .action(async (type, json, _, command) =>
      (await import('./publish.ts')).publishCommand(type, json ?? 'null', options(command)),
    )
  root
    .command('tail')
    .description('show events as they happen')
    .option('--type <pattern...>', 'only these types: order.paid, order.*, order.>')
    .option('--correlation <id>', 'only this correlation: its id, its last digits, or last')
    .option('--since <time>', 'from 1h ago, from a date, from a log position, or from the beginning')
    .option('--turns', 'the turns of tasks too')
    .action(async (_, command) => (await import('./tail.ts')).tailCommand(options(command)))
  root
    .command('trace [correlation]')
    .description(
      'show what came of an event: its correlation id, the last digits of it, or last; or list what happened',
    )
    .option('--limit <n>', 'of the list so many, the newest', '20')
    .action(async (correlation, _, command) => (await import('./trace.ts')).traceCommand(correlation, options(command)))
  addLists(root)
  root
    .command('status')
    .description('show consumer groups, what they are behind, what is paused, how durable the log is')
    .action(async (_, command) => (await import('./status.ts')).statusCommand(options(command)))
  root
    .command('replay')
    .description('run recorded turns against the code as it is now, and show what comes out otherwise')
    .option('--task <id>', 'only this task')
    .option('--correlation <id>', 'only this correlation: its id, its last digits, or last')
    .option('--since <time>', 'only what happened since: 24h, or a moment')
    .option('--until <time>', 'only what happened until then')
    .option('--waiting', 'only tasks that wait: what a deploy of this code would go on with')
    .option('--file <slice...>', 'exported slices in place of the log')
    .option('--app <app>', 'the app file')
    .option('--accept <file>', 'the divergences that are meant')
    .option('--update', 'write those of now into that file')
    .option('--junit <file>', 'a report for CI too')
    .option('--expect-at-least <n>', 'fail where fewer tasks were replayed')
    .option('--jobs <n>', 'processes; else as many as there are cores')
    .addHelpText('after', replayCodes)
    .action(async (_, command) => (await import('./replay.ts')).replayCommand(options(command)))
  addAgain(root)
  addSlices(root)
  addAttention(root)
  addTriggers(root)
  addWorkflows(root)
  addApprovals(root)
  for (const [verb, about] of [
    ['pause', 'keep what arrives for'],
    ['resume', 'go on with'],
  ] as const)
    root
      .command(`${verb} <kind> <name>`)
      .description(`${about} an agent, a tool or a model, in every process`)
      .action(async (kind, name, _, command) =>
        (await import('./pause.ts')).pauseCommand(kind, name, verb === 'pause', options(command)),
      )
  root
    .command('broker')
    .description('run a broker for development, with its data in the data folder')
    .command('nats')
    .description('find or build a nats-server, and run it')
    .option('--port <port>', 'port on 127.0.0.1', '4222')
    .option('--sync-always', 'sync each message to the disk before it is acknowledged', true)
    .option('--no-sync-always', 'sync every two minutes: faster, and a power cut loses what came since')
    .action(async (_, command) => (await import('./broker.ts')).natsCommand(options(command)))
  root
    .command('init [folder]')
    .description('make a new project that runs')
    .action(async (folder, _, command) => (await import('./init.ts')).initCommand(folder, options(command)))
  return root
}

const replayCodes = `
Exit codes:
  0  same: everything that was selected was replayed, and came out as recorded or accepted
  1  diverged: a turn decides differently and that is not accepted
  2  error: wrong usage, or the log, the app or a file cannot be used, or the output was closed early
  3  nothing replayed, or fewer tasks than --expect-at-least
  4  not all replayed: the report names the tasks and why`

function addAgain(root: Command) {
  const effects = [
    '--effects <rules>',
    'what tools and models may do: tool/web.search=live,model/*=recorded,*=deny; else live where read-only, else deny',
  ] as const
  const stub = ['--stub <name=file...>', 'a JSON file as the answer: tool/web.search=hits.json'] as const
  root
    .command('redrive')
    .description('publish again what came from outside, as something new that is marked')
    .option('--correlation <id>', 'of this correlation: its id, its last digits, or last')
    .option('--task <id>', 'what started this task, for its program only')
    .option('--since <time>', 'what came since: 24h, or a moment')
    .option('--until <time>', 'and until then')
    .option('--type <pattern...>', 'only these types: order.paid, order.*, order.>')
    .option(...effects)
    .option(...stub)
    .option('--app <app>', 'the app file')
    .option('--dry-run', 'only say what would be published, and what tools and models would be allowed')
    .action(async (_, command) => (await import('./redrive.ts')).redriveCommand(options(command)))
  root
    .command('retry [task]')
    .description(
      'retry failed tasks from where they failed; of a task that has not ended, hand out its parked deliveries',
    )
    .option('--agent <name>', 'failed tasks of this agent')
    .option('--code <code>', 'tasks that failed with this code, such as E_TOOL_THREW')
    .option(
      '--since <time>',
      'only tasks that failed since: 1h, or a moment (default: all that tidings attention lists)',
    )
    .option('--until <time>', 'only tasks that failed until then')
    .option('--yes', 'retry them; without it they are only counted')
    .action(async (task, _, command) => (await import('./retry.ts')).retryCommand(task, options(command)))
  root
    .command('fork')
    .description(
      'start a task with the turns of another up to one of them, which is decided anew with the code as it is',
    )
    .requiredOption('--from <task@turn>', 'the task, and the first turn that is decided anew')
    .option('--edit <file>', 'other data for inputs of that turn: { "EVENT-ID": DATA }')
    .option('--reissue', 'ask again what the task waits for, also where the log has the answer')
    .option(...effects)
    .option(...stub)
    .option('--app <app>', 'the app file')
    .action(async (_, command) => (await import('./fork.ts')).forkCommand(options(command)))
}

function addSlices(root: Command) {
  root
    .command('export [file]')
    .description('write a part of the log to a file: .jsonl, .jsonl.gz or .jsonl.zst; - is the standard output')
    .option('--correlation <id>', 'this correlation: its id, its last digits, or last')
    .option('--task <id>', 'this task')
    .option('--since <time>', 'every correlation of which something happened since: 24h, or a moment')
    .option('--until <time>', 'and until then')
    .option('--all', 'the whole log')
    .option('--app <app>', 'the app file whose redaction rules hold too')
    .option('--force', 'overwrite the file')
    .action(async (file, _, command) => (await import('./export.ts')).exportCommand(file ?? '-', options(command)))
  root
    .command('import <file>')
    .description('put an exported part of a log on an empty log, to be read, replayed and forked')
    .action(async (file, _, command) => (await import('./import.ts')).importCommand(file, options(command)))
}

function addLists(root: Command) {
  root
    .command('show <id>')
    .description('print an event or a task in full: its id, or the end of it as lists show it')
    .action(async (id, _, command) => (await import('./show.ts')).showCommand(id, options(command)))
  root
    .command('why <id>')
    .description('show what caused an event, or the end of a task, back to the outside world: its id, or the end of it')
    .action(async (id, _, command) => (await import('./why.ts')).whyCommand(id, options(command)))
  root
    .command('find <words...>')
    .description('search the log, newest first; inv* finds every word that begins so')
    .option('--type <pattern>', 'only this type: order.paid, order.*, order.>')
    .option('--since <time>', 'only the last 24h, or since 2026-11-20')
    .option('--limit <n>', 'so many', '20')
    .action(async (words, _, command) => (await import('./find.ts')).findCommand(words, options(command)))
  root
    .command('tasks')
    .description('list tasks, those in which something happened last first')
    .option('--program <name>', 'only tasks of this agent')
    .option('--state <state>', 'only these: running, waiting, completed, failed, cancelled, continued')
    .option('--since <time>', 'only those with a turn in the last 24h, or since 2026-11-20')
    .option('--limit <n>', 'so many', '20')
    .action(async (_, command) => (await import('./tasks.ts')).tasksCommand(options(command)))
  root
    .command('top')
    .description('show what is going on: backlogs, rates, slow tools and models, cost')
    .option('--once', 'show it once and end')
    .action(async (_, command) => (await import('./top.ts')).topCommand(options(command)))
}

function addApprovals(root: Command) {
  root
    .command('approvals')
    .description('list what waits for the approval of a person')
    .action(async (_, command) => (await import('./approvals.ts')).approvalsCommand(options(command)))
  for (const [verb, decision, about] of [
    ['approve', 'grant', 'say yes to'],
    ['deny', 'deny', 'say no to'],
  ] as const)
    root
      .command(`${verb} <approval>`)
      .description(`${about} what waits for approval: its id, or the end of it`)
      .option('--comment <text>', 'for whoever asked, kept on the log')
      .action(async (id, _, command) => (await import('./approve.ts')).answerCommand(id, decision, options(command)))
}

function addAttention(root: Command) {
  const attention = root
    .command('attention')
    .description('list what a person should look at: dead, parked, delayed, overdue, unarmed, unhosted, failed')
    .action(async (_, command) => (await import('./attention.ts')).attentionCommand(options(command)))
  attention
    .command('retry [id]')
    .description('hand a delivery out again')
    .option('--key <key>', 'everything that is parked under this key')
    .action(async (id, _, command) => (await import('./attention.ts')).releaseCommand(id, options(command)))
  attention
    .command('discard <id>')
    .description('give up a delivery, or dismiss a failed task')
    .action(async (id, _, command) => (await import('./attention.ts')).discardCommand(id, options(command)))
  attention
    .command('cancel <task>')
    .description('end a task, with its open calls and its children')
    .option('--reason <text>', 'kept on the log')
    .action(async (task, _, command) => (await import('./attention.ts')).cancelCommand(task, options(command)))
}

function addWorkflows(root: Command) {
  const workflow = root.command('workflow').description('draw workflows, show where their instances stand, move them')
  workflow
    .command('list')
    .description('the workflows of an app: what they wait for, and how many instances run')
    .option('--app <app>', 'the app file')
    .action(async (_, command) => (await import('./workflow.ts')).workflowListCommand(options(command)))
  workflow
    .command('graph <name>')
    .description('print a workflow as a Mermaid flowchart; of an instance, with where it stands')
    .option('--task <id>', 'the instance: its id, or the end of it')
    .option('--app <app>', 'the app file')
    .action(async (name, _, command) => (await import('./workflow.ts')).workflowGraphCommand(name, options(command)))
  workflow
    .command('migrate <name>')
    .description('move instances that run to the definition of the app as it is')
    .option('--task <id>', 'only this one; else all')
    .option('--app <app>', 'the app file')
    .option('--dry-run', 'only say which can be moved, and why others cannot')
    .action(async (name, _, command) => (await import('./migrate.ts')).migrateCommand(name, options(command)))
}

function addTriggers(root: Command) {
  const trigger = root.command('trigger').description('show and try the doors through which the outside comes in')
  trigger
    .command('list')
    .description('list the triggers of an app, what they publish and where they listen')
    .option('--app <app>', 'the app file')
    .action(async (_, command) => (await import('./trigger.ts')).triggerListCommand(options(command)))
  trigger
    .command('test <name>')
    .description('send a trigger that a worker runs a sample, as somebody outside would, and show its event')
    .option('--app <app>', 'the app file')
    .option('--within <duration>', 'how long it may take', '30s')
    .action(async (name, _, command) => (await import('./trigger.ts')).triggerTestCommand(name, options(command)))
}

const options = <T extends object>(command: Command) => command.optsWithGlobals<T>()

/** Before any verb: the folder, a Node that can run more than `init`, and the variables of the app. */
function prepare(command: Command) {
  const { home, app } = command.optsWithGlobals<{ home?: string; app?: string }>()
  if (home !== undefined) process.env.TIDINGS_HOME = home
  const verb = command.name()
  if (verb === 'init') return
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  if (major < 24 || (major === 24 && minor < 16))
    throw new TidingsError(
      'E_USAGE',
      `Tidings needs Node 24.16, and this is ${process.versions.node}. A project of tidings init brings its own: npx tidings`,
    )
  loadEnvFile(verb === 'dev' || verb === 'run' ? command.args[0] : app)
}

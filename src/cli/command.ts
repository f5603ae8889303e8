import { CommanderError, type Command } from 'commander'
import { reportError, usageError } from './output.ts'
import { program } from './program.ts'

// The reader closed the pipe, as `head` does.
process.stdout.on('error', error => {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(process.exitCode)
  throw error
})

/** Runs the command of `process.argv`, and sets the exit code of the process. */
export async function runFromArguments(): Promise<void> {
  const root = program()
  try {
    await root.parseAsync()
  } catch (error) {
    process.exitCode = exitCode(root, error)
  }
}

function exitCode(root: Command, error: unknown): number {
  const json = process.argv.includes('--json')
  const command = commandNamed(root)
  const help = command === root ? undefined : `${pathOf(command)} --help`
  if (!(error instanceof CommanderError)) return reportError(error, { json }, help)
  if (error.exitCode === 0) return 0
  if (error.code === 'commander.help') return 2
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
  return reportError(usageError(message), { json }, help)
}

function commandNamed(command: Command): Command {
  const next = command.commands.find(each => each.name() === command.args[0])
  return next ? commandNamed(next) : command
}

function pathOf(command: Command): string {
  return command.parent ? `${pathOf(command.parent)} ${command.name()}` : command.name()
}

import { runFromArguments } from '../../src/cli/command.ts'

/* The process of warm-cli.ts: runs the commands that it is sent, one after the other. */

/** What warm-cli.ts sends. */
export interface CommandToRun {
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly cwd: string
}

process.on('disconnect', () => process.exit(0))
process.on('message', (command: CommandToRun) => void run(command))

async function run({ args, env, cwd }: CommandToRun): Promise<void> {
  for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name]
  Object.assign(process.env, env)
  process.chdir(cwd)
  process.argv = [...process.argv.slice(0, 2), ...args]
  process.exitCode = undefined
  await runFromArguments()
  const code = process.exitCode ?? 0
  process.exitCode = undefined
  // The end of what this command printed.
  process.stdout.write('\0')
  process.stderr.write('\0')
  process.send!(code)
}

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type CommandResult, isWarm, runWarm } from './warm-cli.ts'
import type { World } from './world.ts'

const main = join(import.meta.dirname, '../../src/cli/main.ts')

const environment = ({ home, bus }: World['place']): NodeJS.ProcessEnv => ({
  ...process.env, TIDINGS_HOME: home, TIDINGS_BUS: bus, NO_COLOR: '1', FORCE_COLOR: undefined, COLUMNS: '160', TZ: 'UTC',
}) // biome-ignore format: one table

/** A verb in a process of its own, on the log of a test, in local time of UTC and without colours. `through`: the command that runs it. */
export function launch(place: World['place'], args: readonly string[], through: readonly string[] = []) {
  const [command, ...rest] = [...through, process.execPath, main, ...args]
  return spawn(command!, rest, { env: environment(place), stdio: ['ignore', 'pipe', 'pipe'] })
}

/** What a verb printed, once it has ended. */
export async function tidings(
  place: World['place'],
  args: readonly string[],
  through: readonly string[] = [],
): Promise<CommandResult> {
  if (isWarm(args) && through.length === 0) return runWarm({ args, env: environment(place), cwd: process.cwd() })
  const child = launch(place, args, through)
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: child.exitCode, stdout, stderr }
}

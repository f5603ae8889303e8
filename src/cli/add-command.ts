import type { Command } from 'commander'

type Action = (...args: never[]) => Promise<void>

/** Adds a command, which is loaded when it is called. It gets its arguments, then its options. */
export function addCommand(parent: Command, usage: string, load: () => Promise<Action>): Command {
  return parent.command(usage).action(async (...args: unknown[]) => {
    const action = (await load()) as (...args: unknown[]) => Promise<void>
    await action(...args.slice(0, -2), (args.at(-1) as Command).optsWithGlobals())
  })
}

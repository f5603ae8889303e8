#!/usr/bin/env node
import { CommanderError } from 'commander'
import { TidingsError } from '../errors.ts'
import { report } from './out.ts'
import { program } from './program.ts'

// The reader of the output has seen enough.
process.stdout.on('error', error => {
  if ((error as NodeJS.ErrnoException).code === 'EPIPE') process.exit(process.exitCode)
  throw error
})

const root = program()
try {
  await root.parseAsync()
} catch (error) {
  process.exitCode = exitCode(error)
}

function exitCode(error: unknown): number {
  if (!(error instanceof CommanderError)) return report(error, { json: process.argv.includes('--json') })
  if (error.exitCode === 0) return 0
  if (error.code === 'commander.help') return 2
  const message = error.message.replace(/^error: /, '').replaceAll('\n', ' ')
  return report(new TidingsError('E_USAGE', message), { json: process.argv.includes('--json') })
}

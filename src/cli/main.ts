#!/usr/bin/env node
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/*
 * An older Node cannot even load the commands. `tidings init` then runs on a Node of the right version, which npm fetches: people call it with
 * npx before they have a project, and a project has its own Node.
 */

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const isTooOld = major < 24 || (major === 24 && minor < 16)
const args = process.argv.slice(2)

if (!isTooOld) await (await import('./command.ts')).runFromArguments()
else if (args[0] === 'init') {
  const command = ['--yes', '--package', 'node@24', 'node', fileURLToPath(import.meta.url), ...args]
  process.exitCode = spawnSync('npx', command, { stdio: 'inherit' }).status ?? 1
} else {
  console.error(`✖ Tidings needs Node 24.16 or newer; this is Node ${process.versions.node}. E_USAGE`)
  console.error('  → A project from tidings init has its own Node: npx tidings')
  process.exitCode = 2
}

/** Runs all static checks side by side. Each prints one line, and its findings if it fails. */
import { spawn } from 'node:child_process'
import { styleText } from 'node:util'

const checks = {
  format: 'biome format',
  types: 'tsc -b --force', // a change of tsconfig alone leaves stale results behind
  lint: 'oxlint --type-aware --deny-warnings',
  'dead code': 'knip',
}

const failed: string[] = []
await Promise.all(
  Object.entries(checks).map(async ([name, command]) => {
    const start = performance.now()
    const { ok, output } = await run(command)
    const seconds = ((performance.now() - start) / 1000).toFixed(1)
    console.log(
      `${ok ? styleText('green', 'ok  ') : styleText('red', 'FAIL')}  ${name.padEnd(10)}${seconds} s   ${command}`,
    )
    if (ok) return
    failed.push(name)
    console.log(output)
  }),
)
if (failed.length > 0) {
  console.log(`static checks failed: ${failed.join(', ')}`)
  process.exitCode = 1
}

function run(command: string): Promise<{ ok: boolean; output: string }> {
  const env = process.stdout.isTTY ? { ...process.env, FORCE_COLOR: '1' } : process.env
  const child = spawn(command, { shell: true, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  child.stdout.on('data', chunk => (output += chunk))
  child.stderr.on('data', chunk => (output += chunk))
  return new Promise(resolve => child.on('close', code => resolve({ ok: code === 0, output })))
}

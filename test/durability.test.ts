import { execFile, execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it, onTestFinished } from 'vitest'
import { openSqlite } from '../src/drivers/sqlite/index.ts'

/*
 * A kill does not show that a publish is durable, since the page cache outlives the process. The system calls do: they
 * are traced, and then made to fail, with strace.
 */

const reason = straceProblem()
if (reason) console.warn(`durability by system calls: not run, ${reason}`)

function straceProblem(): string | undefined {
  try {
    execFileSync('strace', ['-o', '/dev/null', 'true'])
    return undefined
  } catch (error) {
    return `strace cannot be used here (${(error as Error).message.split('\n')[0]}); install it to run this`
  }
}

async function traced(count: number, ...options: string[]): Promise<{ lines: string[]; output: string }> {
  const home = await mkdtemp(join(tmpdir(), 'tidings-strace-'))
  onTestFinished(() => rm(home, { recursive: true, force: true }))
  const file = join(home, 'trace')
  await (await openSqlite({ home: join(home, 'log') })).close()
  const publisher = join(import.meta.dirname, 'durability', 'publisher.ts')
  const command = [
    '-f',
    '-y',
    '-o',
    file,
    '-e',
    'trace=fdatasync,fsync,write',
    ...options,
    process.execPath,
    publisher,
    join(home, 'log'),
    String(count),
  ]
  const { stdout } = await promisify(execFile)('strace', command)
  return { lines: (await readFile(file, 'utf8')).split('\n'), output: stdout }
}

const isSync = (line: string) => /f(data)?sync\(\d+<[^>]*-wal>\) *= 0|<\.\.\. f(data)?sync resumed>\) *= 0/.test(line)

describe.runIf(!reason)('a publish on the embedded log', () => {
  it('never resolves before an fsync of the log that began after it was asked for', { timeout: 60_000 }, async () => {
    const { lines } = await traced(20)
    const begin = lines.findIndex(line => line.includes('"OPENED'))
    let synced = false
    let resolved = 0
    for (const line of lines.slice(begin)) {
      if (isSync(line)) synced = true
      if (!line.includes('"RESOLVED')) continue
      expect(synced, `publish ${resolved} resolved without an fsync`).toBe(true)
      synced = false
      resolved++
    }
    expect(resolved).toBe(20)
  })

  it('rejects when the fsync fails', { timeout: 60_000 }, async () => {
    const { output } = await traced(20, '-e', 'inject=fdatasync,fsync:error=EIO:when=8+')
    expect(output).toContain('REJECTED E_LOG_UNAVAILABLE')
    const outcomes = output
      .trim()
      .split('\n')
      .slice(1)
      .map(line => line.split(' ')[0])
    expect(outcomes.slice(outcomes.indexOf('REJECTED'))).not.toContain('RESOLVED')
  })
})

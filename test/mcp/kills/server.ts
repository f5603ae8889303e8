import { appendFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { listed, rpcError, serveRaw, textResult } from '../client/lib/raw-http.ts'

/*
 * `node server.ts FOLDER PORT MS`: a server whose tools take MS. `slow` is idempotent, `book` is not, and a call of `report` is a task that outlives the
 * server, in a file. Each start of a tool is a line of a file.
 */

const [, , folder, port, ms] = process.argv as unknown as [string, string, string, string, string]
const duration = Number(ms)
const taskFile = join(folder, 'task.json')
const tasks = { extensions: { 'io.modelcontextprotocol/tasks': {} } }

const server = await serveRaw({
  era: '2026-07-28',
  port: Number(port),
  capabilities: tasks,
  tools: [listed('slow', { annotations: { idempotentHint: true } }), listed('book'), listed('report')],
  async answer({ method, params }) {
    if (method === 'tools/call') {
      appendFileSync(join(folder, `${params.name}.runs`), `${process.pid}\n`)
      if (params.name !== 'report') {
        await delay(duration)
        return textResult(`${params.name} is done`)
      }
      writeFileSync(taskFile, JSON.stringify({ at: Date.now() }))
      return { resultType: 'task', taskId: 'report-1', status: 'working', ttlMs: null, pollIntervalMs: 500 }
    }
    if (!existsSync(taskFile)) throw rpcError(-32602, 'no such task')
    appendFileSync(join(folder, `${method.replace('/', '.')}.runs`), `${process.pid}\n`)
    const isDone = Date.now() - (JSON.parse(readFileSync(taskFile, 'utf8')) as { at: number }).at >= duration
    return { taskId: 'report-1', status: isDone ? 'completed' : 'working', ttlMs: null, ...(isDone && { result: textResult('report is done') }) } // biome-ignore format: one line
  },
})
console.log(server.port)

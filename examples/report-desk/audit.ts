/*
 * An audit trail for everything that happens at the desk, in an app of its own: nobody else knows of it. Start it in
 * another process while the desk works: `tidings run examples/report-desk/audit.ts`
 */
import { appendFileSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { agent, app, tool } from '../../src/index.ts'

const home = resolve(process.env.TIDINGS_HOME || '.tidings')
const file = join(home, 'audit.jsonl')

const append = tool('audit.append', {
  description: 'Appends one line to the audit trail.',
  input: z.record(z.string(), z.unknown()),
  run(entry) {
    mkdirSync(home, { recursive: true })
    appendFileSync(file, `${JSON.stringify(entry)}\n`)
  },
})

const audit = agent('audit', {
  on: ['question.asked', 'email.received', 'agent.task.completed', 'agent.task.failed', 'tool.failed', 'report.completed'],
  async run(ctx) {
    const { time, type, source, user, correlationid, data } = ctx.event
    await ctx.call(append, { time, type, source, user, correlationid, data })
  },
})

export default app({ name: 'audit', use: [audit, append] })

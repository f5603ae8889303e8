/*
 * A separate app that keeps an audit trail of questions, answers and failures, without a change of the report desk. Start it in
 * another process: `tidings run examples/report-desk/audit.ts --only agents,tools`
 */
import { appendFileSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import { agent, app, tool } from '../../src/index.ts'

const home = resolve(process.env.TIDINGS_HOME || '.tidings')

const append = tool('audit.append', {
  description: 'Appends one line to the audit trail.',
  input: z.record(z.string(), z.unknown()),
  run(entry) {
    mkdirSync(home, { recursive: true })
    appendFileSync(join(home, 'audit.jsonl'), `${JSON.stringify(entry)}\n`)
  },
})

const audit = agent('audit', {
  on: ['question.asked', 'email.received', 'report.*', 'agent.task.failed', 'tool.failed'],
  async run(ctx) {
    const { time, type, source, user, correlationid } = ctx.event
    const { from, subject, question = subject, answered, files, error } = ctx.event.data as Record<string, unknown>
    await ctx.call(append, { time, type, source, user, correlationid, from, question, answered, files, error })
  },
})

export default app({ name: 'audit', use: [audit, append] })

import { agent, app, tool } from '../../src/index.ts'
import { z } from 'zod'
import { sections, write, type Report } from './report.ts'

const writeSection = tool('sections.write', {
  description: 'Write one section of a report.',
  input: z.string(),
  readOnly: true,
  limit: 4,
  retry: { maxAttempts: 3 },
  run: write,
})

export const report = agent('report', {
  input: z.object({ user: z.string(), topic: z.string() }),
  async run(ctx, { topic }): Promise<Report> {
    const written = await Promise.all(sections.map(section => ctx.call(writeSection, `${section} of ${topic}`)))
    return { title: `Report on ${topic}`, sections: written, createdAt: new Date(ctx.now).toISOString() }
  },
})

export default app({ name: 'reports', use: [writeSection, report] })

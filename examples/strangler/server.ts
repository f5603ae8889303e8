import express from 'express'
import { strangler } from '../../src/runtime/strangler.ts'
import { generateReport, type Report, type ReportRequest } from './report.ts'

const reports = strangler<ReportRequest, Report>('reports', {
  old: generateReport,
  candidate: 'report', //                   the agent, by its name: it runs in another process
  key: ({ user }) => user, //               each user stays on one side
  repeatable: true, //                      the old code does no harm when it runs twice
  compare: { ignore: ['createdAt'] },
  maxMirrors: 4, //                         copies in flight: they take calls of the provider too
  rollback: { errorRate: 0.05, p95: '1m', parity: 0.98 },
})
const server = express().use(express.json())

server.post('/reports', async (req, res) => {
  const begun = await reports.begin(req.body, { wait: 0 })
  if ('output' in begun) res.json(begun.output)
  else res.status(202).location(`http://127.0.0.1:4605/tasks/${begun.task.id}/result`).end()
})

server.listen(4600, () => console.log('the server listens on 4600'))

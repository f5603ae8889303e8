import type { Control } from './control.ts'

export default {
  fault: 'The offline model does not say that it is unsure.',
  file: 'src/models/offline/write.ts',
  find: 'isAnswered(question, notes) ? [] : [unsure]',
  replace: 'isAnswered(question, notes) ? [] : []',
  test: 'examples/report-desk/agents.test.ts',
  name: 'a report that holds only some words',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'An answer or a cancellation is dropped when the journal of its task is read too early.',
  file: 'src/tasks/rules.ts',
  find: 'attempt <= maxJournalReads',
  replace: 'shared.delivery.attempt <= 0',
  test: 'test/bounds/lagging.test.ts',
  name: 'an answer',
} satisfies Control

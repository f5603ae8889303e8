import type { Control } from './control.ts'

export default {
  fault: 'The code of a task that its budget ended is run again for a late input, and reported as E_PROGRAM_MISMATCH.',
  file: 'src/tasks/load.ts',
  find: 'if (history.turns.at(-1)?.end) return',
  replace: "if (history.turns.at(-1)?.program === '') return",
  test: 'test/bounds/ended.test.ts',
} satisfies Control

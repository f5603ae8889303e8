import type { Control } from './control.ts'

export default {
  fault: 'The report of a replay has values of any size.',
  file: 'src/replay/summary.ts',
  find: 'if (json.length <= maxValueChars) return',
  replace: 'if (json.length >= 0) return',
  test: 'test/operator-views.test.ts',
  name: 'POST /operations replays',
} satisfies Control

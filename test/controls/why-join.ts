import type { Control } from './control.ts'

export default {
  fault: 'Of a join, only the last cause is shown.',
  file: 'src/trace/reasons.ts',
  find: 'before > Math.max(0, version - maxTurns)',
  replace: 'before > version',
  test: 'test/show.test.ts',
  name: 'on sqlite .*each answer that a join',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A final answer ends the task, and the other calls of the same step are never made.',
  file: 'src/agents/model-loop.ts',
  find: 'const given = calls.length === 1 && malformed',
  replace: 'const given = malformed',
  test: 'src/agents/output-mode.test.ts',
  name: 'next to other calls',
} satisfies Control

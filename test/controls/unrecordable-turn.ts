import type { Control } from './control.ts'

export default {
  fault: 'an agent that returns or emits what cannot be recorded is parked, and its caller hears nothing',
  file: 'src/tasks/compose.ts',
  find: 'if (!fault) throw thrown',
  replace: 'if (fault !== null) throw thrown',
  test: 'test/answers.test.ts',
  name: 'on sqlite.*named values',
} satisfies Control

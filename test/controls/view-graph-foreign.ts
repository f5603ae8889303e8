import type { Control } from './control.ts'

export default {
  fault: 'An instance of another tenant is shown.',
  file: 'src/workflows/program.ts',
  find: 'if (newest?.tenant !== tenant) throw unknown',
  replace: 'if (!newest) throw unknown',
  test: 'test/operator-views.test.ts',
  name: '/workflows shows definitions',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'Fractions of seconds in retry-after are not understood.',
  file: 'src/models/step.ts',
  find: '(\\d+\\.?\\d*|\\.\\d+)',
  replace: '(\\d+)',
  test: 'src/models/step.test.ts',
  name: 'fractions of seconds',
} satisfies Control

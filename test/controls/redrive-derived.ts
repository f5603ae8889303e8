import type { Control } from './control.ts'

export default {
  fault: 'The redrive of a redrive looks for the recorded answers of a derived correlation in the first recording.',
  file: 'src/tasks/effects.ts',
  find: ' && original !== of.correlation',
  replace: '',
  test: 'test/repeated-ids.test.ts',
  name: 'a redrive finds',
} satisfies Control

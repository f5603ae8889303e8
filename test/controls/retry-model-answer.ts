import type { Control } from './control.ts'

export default {
  fault: 'A retry decides again on the answer of a model that made its agent fail.',
  file: 'src/replay/retry.ts',
  find: 'inputs.some(isFailure) || !failedOnModelAnswer(emitted) ?',
  replace: 'inputs.some(isFailure) || emitted.length > 0 ?',
  test: 'test/retry.test.ts',
  name: 'asks the model again',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'Who waits for an operation learns only after the time of waiting that it has ended.',
  file: 'src/ask/answers.ts',
  find: '  { types: [operationCompletedType, operationFailedType] },',
  replace: '  { types: [operationCompletedType], targets: [operationFailedType] },',
  test: 'src/gateway/commands/operations.test.ts',
  name: 'answers when the operation has ended',
} satisfies Control

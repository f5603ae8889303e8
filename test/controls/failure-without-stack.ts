import type { Control } from './control.ts'

export default {
  fault: "An error on the log does not say where in the user's code it was thrown.",
  file: 'src/errors.ts',
  find: '  const stack = stackOf(thrown)\n',
  replace: '  const stack = thrown === code ? stackOf(thrown) : undefined\n',
  test: 'test/stack.test.ts',
} satisfies Control

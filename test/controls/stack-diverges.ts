import type { Control } from './control.ts'

export default {
  fault: 'A replay of a failed task diverges as soon as the lines of its code have moved.',
  file: 'src/tasks/turn.ts',
  find: '  const compared = withoutStack(data)\n',
  replace: '  const compared = data === withoutStack ? withoutStack(data) : data\n',
  test: 'test/stack.test.ts',
  name: 'replay',
} satisfies Control

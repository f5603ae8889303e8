import type { Control } from './control.ts'

export default {
  fault: 'An agent can emit events of the runtime, such as an answer of a tool.',
  file: 'src/tasks/turn.ts',
  find: 'if (!isBuiltIn && isReservedType(emission.type))',
  replace: 'if (program.length === 0 && isReservedType(emission.type))',
  test: 'test/unawaited.test.ts',
  name: 'speaks',
} satisfies Control

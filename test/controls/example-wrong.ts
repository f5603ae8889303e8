import type { Control } from './control.ts'

export default {
  fault: 'An example in a doc comment does not compile.',
  file: 'src/tasks/script-context.ts',
  find: "ctx.sleep('3d')",
  replace: "ctx.sleep('3 days')",
  test: 'test/docs.test.ts',
  name: 'the examples of the doc comments compile',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'Two tools have one name for the model, and the first of them is never called.',
  file: 'src/agents/loop-tools.ts',
  find: '    if (other)\n',
  replace: "    if (other?.name === '')\n",
  test: 'test/definitions.test.ts',
  name: 'one name for two tools',
} satisfies Control

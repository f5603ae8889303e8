import type { Control } from './control.ts'

export default {
  fault: 'The model reads a message before its guard has allowed it.',
  file: 'src/agents/model-loop.ts',
  find: 'if (isGuarded(state)) return\n',
  replace: '\n',
  test: 'src/agents/guard.test.ts',
  name: 'is asked before the model',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault:
    'An agent that handed over waits forever, because the user had spoken before and its output guard allows the answer.',
  file: 'src/agents/loop-state.ts',
  find: '        state.successor = id\n        state.fresh = []\n',
  replace: '        state.successor = id\n',
  test: 'src/agents/loop-tools.test.ts',
  name: 'keeps what the user said before it',
} satisfies Control

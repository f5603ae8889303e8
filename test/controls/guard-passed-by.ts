import type { Control } from './control.ts'

export default {
  fault: 'A further message of the user passes by the guard of the input.',
  file: 'src/agents/loop-state.ts',
  find: 'if (guard.input) state.unguarded',
  replace: 'if (guard.input && state.steps > 99) state.unguarded',
  test: 'src/agents/guard.test.ts',
  name: 'checks further messages too',
} satisfies Control

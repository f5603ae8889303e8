import type { Control } from './control.ts'

export default {
  fault: 'A conversation is handed over before the other calls of the step are answered, which providers refuse.',
  file: 'src/agents/model-loop.ts',
  find: 'if (called === 0) endStep(state, ctx, failed)',
  replace: 'if (called === 0 || state.handover) endStep(state, ctx, failed)',
  test: 'src/agents/loop-tools.test.ts',
  name: 'waits for the other calls',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'The model is told that its arguments are not JSON, where they were cut off.',
  file: 'src/agents/model-loop.ts',
  find: 'if (!cut) return',
  replace: 'if (!cut || cut) return',
  test: 'src/agents/finish.test.ts',
  name: 'tells the model so',
} satisfies Control

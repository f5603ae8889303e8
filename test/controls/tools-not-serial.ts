import type { Control } from './control.ts'

export default {
  fault: 'Without parallel tools, the calls of one step still run at the same time.',
  file: 'src/agents/model-loop.ts',
  find: 'if (!parallelTools) break',
  replace: '',
  test: 'src/agents/settings.test.ts',
  name: 'one after the other',
} satisfies Control

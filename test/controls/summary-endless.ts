import type { Control } from './control.ts'

export default {
  fault: 'A conversation whose newest step is too long is summarised before every request.',
  file: 'src/agents/model-loop.ts',
  find: ' && (state.chain ?? 0) >= minChain',
  replace: '',
  test: 'src/agents/context.test.ts',
  name: 'not summarised again',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A model must call a tool in every step, and so never answers.',
  file: 'src/agents/model-loop.ts',
  find: 'toolChoice && isFirst &&',
  replace: 'toolChoice &&',
  test: 'src/agents/settings.test.ts',
  name: 'applies to the first request',
} satisfies Control

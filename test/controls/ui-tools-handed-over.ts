import type { Control } from './control.ts'

export default {
  fault: 'After a hand-over, a model cannot call the tools of the user interface.',
  file: 'src/agents/model-loop.ts',
  find: '...(declared.length > 0 && { tools: declared })',
  replace: '...(declared.length < 0 && { tools: declared })',
  test: 'test/ag-ui.test.ts',
  name: 'lets a model call tools of the user interface',
} satisfies Control

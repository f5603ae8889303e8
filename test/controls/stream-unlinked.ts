import type { Control } from './control.ts'

export default {
  fault: 'A stream of a correlation, while it is open, carries nothing of the workflow instance that it feeds.',
  file: 'src/gateway/streams/audience-index.ts',
  find: 'if (feeder === undefined) return',
  replace: "if (feeder !== '') return",
  test: 'test/workflows/linked.test.ts',
  name: 'on sqlite.*are one stream',
} satisfies Control

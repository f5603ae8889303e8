import type { Control } from './control.ts'

export default {
  fault: 'A trace of a correlation shows nothing of the workflow instance that it fed.',
  file: 'src/trace/trace.ts',
  find: 'if (own.some(({ type }) => type === routedType)) parts.push(own)',
  replace: 'if (own.length < 0) parts.push(own)',
  test: 'test/workflows/linked.test.ts',
  name: 'are named',
} satisfies Control

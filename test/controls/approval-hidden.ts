import type { Control } from './control.ts'

export default {
  fault: 'A value that redaction hides may change between approval and run.',
  file: 'src/tools/approval.ts',
  find: 'canonicalJson({ tool: name, version: options.version ?? 1, input })',
  replace: "canonicalJson({ tool: name, version: 1, input: { ...(input as object), account: '' } })",
  test: 'test/approval-input.test.ts',
  name: 'redaction hides',
} satisfies Control

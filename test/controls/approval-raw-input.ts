import type { Control } from './control.ts'

export default {
  fault: 'A person is shown the raw input of a call, and the tool runs with what its schema makes of it.',
  file: 'src/tools/approval.ts',
  find: 'const what = { tool: name, ...(version !== undefined && { version }), input }',
  replace: 'const what = { tool: name, ...(version !== undefined && { version }), input: rawInputOf(call) }',
  test: 'test/approval-input.test.ts',
  name: 'what is shown',
} satisfies Control

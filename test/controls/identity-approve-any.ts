import type { Control } from './control.ts'

export default {
  fault: 'A role without approve answers approvals.',
  file: 'src/gateway/commands/approvals.ts',
  find: "  assertMay(principal, 'approve', request.target)",
  replace: '',
  test: 'test/approval-answering.test.ts',
  name: 'on sqlite',
} satisfies Control

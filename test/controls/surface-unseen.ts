import type { Control } from './control.ts'

export default {
  fault: 'The public surface changes, and no file shows it.',
  file: 'src/tasks/approval.ts',
  find: 'export interface ApprovalOptions<Content = unknown> {',
  replace: 'export interface ApprovalOptions<Content = unknown> {\n  unseen?: true',
  test: 'test/docs.test.ts',
  name: 'what comes from the code',
} satisfies Control

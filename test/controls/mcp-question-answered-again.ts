import type { Control } from './control.ts'

export default {
  fault: 'The answer to a question of a running tool starts the tool once more.',
  file: 'src/tools/approval.ts',
  find: 'call === undefined || isQuestionId(call) ? undefined : callOfApproval(call)',
  replace: 'call === undefined || isQuestionId(call.slice(0, 0)) ? undefined : callOfApproval(call)',
  test: 'test/mcp/client/elicitation.test.ts',
  name: 'the question is a request for approval',
} satisfies Control

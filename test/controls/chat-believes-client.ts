import type { Control } from './control.ts'

export default {
  fault: 'A chat begins after whatever answer the client claims to have.',
  file: 'src/gateway/chat/posted.ts',
  find: 'const after = known < 0 ? null : messages[known]!.id',
  replace: 'const after = known < 0 ? null : history.newest!.task',
  test: 'test/chat.test.ts',
  name: 'takes only new messages of the user',
} satisfies Control

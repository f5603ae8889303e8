import type { Control } from './control.ts'

export default {
  fault: 'A chat begins after whatever answer the client claims to have.',
  file: 'src/gateway/chat/posted.ts',
  find: 'const after = answered < 0 ? null : messages[answered]!.id',
  replace: 'const after = answered < 0 ? null : history.newest!.task',
  test: 'test/chat.test.ts',
  name: 'takes only new messages of the user',
} satisfies Control

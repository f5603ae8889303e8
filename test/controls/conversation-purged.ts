import type { Control } from './control.ts'

export default {
  fault: 'A conversation whose oldest events were purged fails, instead of beginning with what is left.',
  file: 'src/models/conversation.ts',
  find: 'if (!isNew) return undefined',
  replace: '',
  test: 'test/conversations.test.ts',
  name: 'begins later',
} satisfies Control

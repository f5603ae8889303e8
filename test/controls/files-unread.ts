import type { Control } from './control.ts'

export default {
  fault: 'A file in a message of the user does not reach the model.',
  file: 'src/models/conversation.ts',
  find: "if (message.role === 'user' && message.content.some(isFile)) {",
  replace: "if (message.role === 'user' && message.content.length === 0) {",
  test: 'test/models/inputs.test.ts',
  name: 'reach the model as bytes',
} satisfies Control

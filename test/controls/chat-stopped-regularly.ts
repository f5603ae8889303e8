import type { Control } from './control.ts'

export default {
  fault: 'A stream that breaks off ends as if the answer was complete.',
  file: 'src/http/event-stream.ts',
  find: 'controller.error(error)',
  replace: 'void error, controller.close()',
  test: 'test/chat.test.ts',
  name: 'reports a disconnect when the gateway stops',
} satisfies Control

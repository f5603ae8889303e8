import type { Control } from './control.ts'

export default {
  fault: 'A stream that was interrupted begins again instead of continuing.',
  file: 'src/client/event-stream.ts',
  find: 'cursor = id ?? cursor',
  replace: 'cursor ??= id',
  test: 'test/client/client.test.ts',
  name: 'loses and repeats nothing',
} satisfies Control

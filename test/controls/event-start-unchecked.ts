import type { Control } from './control.ts'

export default {
  fault: 'An agent starts on an event whose data does not match its type.',
  file: 'src/agents/input.ts',
  find: 'return type ? parsedData(type, data) : data',
  replace: 'return type && data === null ? parsedData(type, data) : data',
  test: 'test/event-types.test.ts',
  name: 'fails its task before any code runs',
} satisfies Control

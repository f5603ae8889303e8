import type { Control } from './control.ts'

export default {
  fault: 'A topic of texts refuses a text that could be a number.',
  file: 'src/triggers/payload.ts',
  find: 'if (value === text || !(error',
  replace: 'if (value !== undefined || !(error',
  test: 'test/outside-numbers.test.ts',
  name: 'MQTT keeps it',
} satisfies Control

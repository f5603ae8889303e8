import type { Control } from './control.ts'

export default {
  fault: 'The type of an event that holds a secret lies on the log in clear.',
  file: 'src/bus/redact.ts',
  find: 'if (text !== undefined && this.knownSecrets',
  replace: "if (text !== undefined && name !== 'type' && this.knownSecrets",
  test: 'test/redaction/holes.test.ts',
  name: 'the type of an event',
} satisfies Control

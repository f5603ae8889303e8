import type { Control } from './control.ts'

export default {
  fault: 'A subject that begins like the id of a task is not redacted.',
  file: 'src/bus/redact.ts',
  find: 'if (isReference(type, subject)) return this.knownSecrets(subject)',
  replace: 'if (/^[0-9a-f-]{36}\\.[0-9a-z]{10}(:|$)/.test(subject)) return subject',
  test: 'test/redaction/holes.test.ts',
  name: 'a subject that looks like',
} satisfies Control

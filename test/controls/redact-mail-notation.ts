import type { Control } from './control.ts'

export default {
  fault: 'A mail says in encoded words or in HTML what is hidden in its text.',
  file: 'src/triggers/received.ts',
  find: 'withoutEncodedSecrets(bus.redactor, whole)',
  replace: 'withoutEncodedSecrets.length > 0 ? whole : whole',
  test: 'test/redaction/holes.test.ts',
  name: 'a mail does not say',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A mail says in encoded words or in HTML what is hidden in its text.',
  file: 'src/triggers/email/publish.ts',
  find: 'withoutEncodedSecrets(bus.redactor, { ...whole, headers })',
  replace: '{ ...whole, headers, ...(withoutEncodedSecrets.length > 9 && {}) }',
  test: 'test/redaction/holes.test.ts',
  name: 'a value redacted in one part of a mail is redacted in encoded words and HTML entities too',
} satisfies Control

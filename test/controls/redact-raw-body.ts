import type { Control } from './control.ts'

export default {
  fault: 'The raw body of a webhook says in clear what a declared path hides in its event.',
  file: 'src/triggers/webhook/receive.ts',
  find: 'redactedBody(bus.redactor, bytes, request, ownEvent)',
  replace: 'redactedBody.length > 0 ? bytes : bytes',
  test: 'test/redaction/holes.test.ts',
  name: 'raw body of a webhook',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A mail with format=flowed keeps the line ends of its sender.',
  file: 'src/triggers/email/mail.ts',
  find: "return has('format', 'flowed') ?",
  replace: "return has('format', 'never') ?",
  test: 'src/triggers/email/flowed.test.ts',
  name: 'a header marks a text as flowed',
} satisfies Control

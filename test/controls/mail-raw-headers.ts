import type { Control } from './control.ts'

export default {
  fault: 'A raw 8-bit header becomes replacement characters.',
  file: 'src/triggers/email/lines.ts',
  find: "const windows1252 = new TextDecoder('windows-1252')",
  replace: "const windows1252 = new TextDecoder('utf-8')",
  test: 'src/triggers/email/raw-headers.test.ts',
} satisfies Control

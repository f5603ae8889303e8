import type { Control } from './control.ts'

export default {
  fault: 'an error of 5 MB makes an answer that the bus refuses, and the caller hears nothing',
  file: 'src/thrown.ts',
  find: 'if (text.length <= maxErrorText) return text',
  replace: 'if (text.length > 0) return text',
  test: 'test/answers.test.ts',
  name: 'on sqlite.*named values',
} satisfies Control

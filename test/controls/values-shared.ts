import type { Control } from './control.ts'

export default {
  fault: 'A few objects that hold each other are copied for each place, until the process has no memory left.',
  file: 'src/json.ts',
  find: 'if ((taking.chars -= text.length) >= 0) return text',
  replace: 'if (text.length >= 0) return text',
  test: 'src/json.test.ts',
  name: 'of names',
} satisfies Control

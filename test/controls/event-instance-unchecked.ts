import type { Control } from './control.ts'

export default {
  fault: 'A workflow instance takes an event whose data does not match its type.',
  file: 'src/workflows/declared.ts',
  find: 'if (declared.type === type) parsedData(declared, copyOf(data))',
  replace: 'if (declared.type === type && data === null) parsedData(declared, copyOf(data))',
  test: 'test/workflows/declared.test.ts',
  name: 'keyed: false',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A name that was never hosted is paused without a word.',
  file: 'src/runtime/operations/hosted.ts',
  find: '  if (hosted[kind].includes(name)) return\n',
  replace: '  if (hosted[kind]) return\n',
  test: 'test/pause.test.ts',
  name: 'on sqlite',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault:
    'A run() agent completes while a call that it never awaited is open, and the call is taken back without a word.',
  file: 'src/tasks/script.ts',
  find: '      if (forgotten) throw unawaitedCall(forgotten.name)\n',
  replace: "      if (forgotten?.name === '') throw unawaitedCall(forgotten.name)\n",
  test: 'test/unawaited.test.ts',
  name: 'forgets',
} satisfies Control

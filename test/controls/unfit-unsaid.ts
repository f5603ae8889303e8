import type { Control } from './control.ts'

export default {
  fault: 'Code that a waiting task does not fit is said when the answer comes, which may be in days.',
  file: 'src/cli/incompatible-tasks.ts',
  find: '      await loader.resume(task)\n',
  replace: '',
  test: 'test/dev.test.ts',
  name: 'changed code does not fit',
} satisfies Control

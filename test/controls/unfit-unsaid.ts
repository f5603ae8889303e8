import type { Control } from './control.ts'

export default {
  fault: 'Code that a waiting task does not fit is said when the answer comes, which may be in days.',
<<<<<<< ours
  file: 'src/cli/incompatible-tasks.ts',
  find: '      await resume(bus, programs, task)\n',
=======
  file: 'src/cli/fit.ts',
  find: '      await resumeTask(bus, programs, task)\n',
>>>>>>> theirs
  replace: '',
  test: 'test/dev.test.ts',
  name: 'changed code does not fit',
} satisfies Control

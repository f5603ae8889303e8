import type { Control } from './control.ts'

export default {
  fault: 'A wait that was refused when the agent ran is taken when it runs again, as a call that was not recorded.',
  patches: [
    {
      file: 'src/tasks/repeated-turn.ts',
      find: 'if (within !== undefined) deadlineFrom(this.now, within)',
      replace: '',
    },
    { file: 'src/tasks/repeated-turn.ts', find: 'deadlineFrom(this.now, duration)', replace: '' },
  ],
  test: 'test/values/values.test.ts',
  name: 'on sqlite.*a wait that cannot be',
} satisfies Control

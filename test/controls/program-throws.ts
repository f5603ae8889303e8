import type { Control } from './control.ts'

export default {
  fault: 'a program that throws in init, evolve or decide is parked, and its caller hears nothing',
  file: 'src/tasks/task.ts',
  find: 'if (this.machine.pinned && isMismatch(thrown)) throw thrown',
  replace: 'if (thrown !== this) throw thrown',
  test: 'test/answers.test.ts',
  name: 'on sqlite.*named values',
} satisfies Control

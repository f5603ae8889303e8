import type { Control } from './control.ts'

export default {
  fault: 'A command names the tasks of another tenant one by one.',
  file: 'src/runtime/operations/select.ts',
  find: '(await startsLike(bus, tasks, { tenant })).map',
  replace: 'tasks.map',
  test: 'test/operations.test.ts',
  name: 'are executed for those whom the policy permits',
} satisfies Control

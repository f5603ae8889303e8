import type { Control } from './control.ts'

export default {
  fault: 'The list of tasks has those of every tenant.',
  file: 'src/trace/index/task-list.ts',
  find: '    .only(`t.tenant = ${keyOfName}`, tenant)\n',
  replace: '',
  test: 'test/views.test.ts',
  name: 'nothing of another tenant',
} satisfies Control

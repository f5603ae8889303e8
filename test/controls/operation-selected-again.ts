import type { Control } from './control.ts'

export default {
  fault: 'A worker that continues an operation selects again.',
  file: 'src/runtime/operations/execute.ts',
  find: 'bus.get(selectionId(id), correlationid)',
  replace: 'bus.get(`${id}:none`, correlationid)',
  test: 'test/operations.test.ts',
  name: 'are continued after kill -9',
} satisfies Control

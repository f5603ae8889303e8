import type { Control } from './control.ts'

export default {
  fault: 'An event from outside takes an id that a schedule or a workflow has yet to mint.',
  file: 'src/bus/ids.ts',
  find: "id.includes(':') || isTaskDerivedId(id)",
  replace: 'isTaskDerivedId(id)',
  test: 'test/ids.test.ts',
  name: 'on sqlite',
} satisfies Control

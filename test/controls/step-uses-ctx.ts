import type { Control } from './control.ts'

export default {
  fault: 'A step may use ctx while its task decides a turn.',
  file: 'src/tasks/script.ts',
  find: '  get turn(): ScriptTurn {\n    assertOutsideSteps()',
  replace: '  get turn(): ScriptTurn {',
  test: 'test/steps/steps.test.ts',
  name: 'ctx is refused',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A failure of a tool is told by the rules of no app, or of another one.',
  file: 'src/tools/station.ts',
  find: 'redactor: bus.redactor },',
  replace: 'redactor: new (bus.redactor.constructor as new () => typeof bus.redactor)() },',
  test: 'test/redaction/apps.test.ts',
  name: 'two apps in one process',
} satisfies Control

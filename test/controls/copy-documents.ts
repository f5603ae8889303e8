import type { Control } from './control.ts'

export default {
  fault: 'A gateway changes documents of a log that is being copied, and the change is lost.',
  file: 'src/bus/bus.ts',
  find: 'new Documents(this.documentStore, this.redactor)',
  replace: 'new Documents(driver, this.redactor)',
  test: 'test/copy/refusals.test.ts',
  name: 'nothing is published',
} satisfies Control

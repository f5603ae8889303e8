import type { Control } from './control.ts'

export default {
  fault: 'The cells of a table in an HTML mail run together.',
  file: 'src/triggers/email/html.ts',
  find: "cells.join('\\t')",
  replace: "cells.join('')",
  test: 'src/triggers/email/html.test.ts',
  name: 'cells of a table stay apart',
} satisfies Control

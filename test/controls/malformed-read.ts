import type { Control } from './control.ts'

export default {
  fault: 'Readers of the embedded log stop at a malformed row.',
  file: 'src/drivers/sqlite/reader.ts',
  find: 'row && eventFrom(row.event)',
  replace: 'row && JSON.parse(row.event)',
  test: 'test/sqlite-malformed.test.ts',
} satisfies Control

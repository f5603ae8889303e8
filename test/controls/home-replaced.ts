import type { Control } from './control.ts'

export default {
  fault: 'A publish resolves although the files of the log were removed or replaced while it was open.',
  file: 'src/drivers/sqlite/writer/store.ts',
  find: '    if (lost !== undefined)\n',
  replace: '    if (lost === "")\n',
  test: 'test/home.test.ts',
  name: 'nothing is acknowledged',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A publish resolves although the files of the open log were removed or replaced.',
  file: 'src/drivers/sqlite/writer/log-store.ts',
  find: '    if (path !== undefined)\n',
  replace: '    if (path === "")\n',
  test: 'test/home.test.ts',
  name: 'nothing is acknowledged',
} satisfies Control

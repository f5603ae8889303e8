import type { Control } from './control.ts'

export default {
  fault: 'A task whose first turns are gone is copied, and begins anew on the other log.',
  file: 'src/bus/copy/copy-log.ts',
  find: "      if (record.kind === 'turn') tasks.see(record)\n",
  replace: '',
  test: 'test/copy/refusals.test.ts',
  name: 'whose first turns are gone',
} satisfies Control

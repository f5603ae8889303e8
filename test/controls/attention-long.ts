import type { Control } from './control.ts'

export default {
  fault: 'A person who asks what needs attention waits until each of many thousand entries was looked up.',
  file: 'src/cli/attention.ts',
  find: 'else if (groups.size < maxShown)',
  replace: 'else if (groups.size < maxShown * 1e6)',
  test: 'test/attention.test.ts',
  name: 'on sqlite',
} satisfies Control

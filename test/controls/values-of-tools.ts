import type { Control } from './control.ts'

export default {
  fault: 'A tool that changes its event changes where its answer goes.',
  file: 'src/tools/station.ts',
  find: 'const own = copyOf(event)',
  replace: 'const own = event',
  test: 'test/values/values.test.ts',
  name: 'a tool may do what it likes',
} satisfies Control

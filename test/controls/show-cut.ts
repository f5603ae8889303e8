import type { Control } from './control.ts'

export default {
  fault: 'Data that lies in a blob is not shown.',
  file: 'src/trace/details.ts',
  find: 'await bus.resolveIfStored(stored.event)',
  replace: 'stored.event',
  test: 'test/show.test.ts',
  name: 'on sqlite .*show prints',
} satisfies Control

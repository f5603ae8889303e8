import type { Control } from './control.ts'

export default {
  fault: 'A stream of a correlation that is resumed lacks what its workflow instance did meanwhile.',
  file: 'src/tasks/links.ts',
  find: 'mergeByTime([bus.read({ correlation, until }), ...linked], after)',
  replace: 'mergeByTime([bus.read({ correlation, until }), ...linked.slice(linked.length)], after)',
  test: 'test/workflows/linked.test.ts',
  name: 'are one stream',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A stream of a correlation that is resumed lacks what its workflow instance did meanwhile.',
  file: 'src/tasks/links.ts',
  find: 'await open(fedPart(bus, instance, correlation, { after: advance(beginning, link), until }))',
  replace:
    'if (instance === beginning) await open(fedPart(bus, instance, correlation, { after: advance(beginning, link), until }))',
  test: 'test/workflows/linked.test.ts',
  name: 'are one stream',
} satisfies Control

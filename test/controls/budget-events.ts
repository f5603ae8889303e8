import type { Control } from './control.ts'

export default {
  fault: 'Events that tasks emit are counted by nothing, and one becomes a hundred thousand.',
  file: 'src/tasks/budget.ts',
  find: 'events: builder.emitted + routed + (builder.version === 1 ? 1 : 0),',
  replace: 'events: 0 * routed,',
  test: 'test/bounds/budget.test.ts',
  name: 'one turn that asks',
} satisfies Control

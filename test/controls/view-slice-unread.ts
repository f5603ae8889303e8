import type { Control } from './control.ts'

export default {
  fault: 'A slice has events that the credential may not read.',
  file: 'src/gateway/views/slice.ts',
  find: "principal.may('read', stored.event.type)",
  replace: 'stored.event',
  test: 'test/operator-views.test.ts',
  name: '/slice downloads',
} satisfies Control

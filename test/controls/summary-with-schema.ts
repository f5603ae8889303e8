import type { Control } from './control.ts'

export default {
  fault: 'A model that is asked for a summary must answer with the output schema.',
  file: 'src/models/station.ts',
  find: '...(output && !summary && {',
  replace: '...(output && {',
  test: 'test/conversations.test.ts',
  name: 'that becomes too long continues with a summary',
} satisfies Control

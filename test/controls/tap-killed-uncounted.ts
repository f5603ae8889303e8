import type { Control } from './control.ts'

export default {
  fault: 'Calls that a killed tap had not recorded are counted nowhere.',
  file: 'src/taps/instances.ts',
  find: 'open.filter(n => !recorded.has(n)).length + missed - reported',
  replace: 'open.filter(n => recorded.has(n)).length + missed - reported',
  test: 'test/taps/unrecorded.test.ts',
  name: 'that a killed process',
} satisfies Control

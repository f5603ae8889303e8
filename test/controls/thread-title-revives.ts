import type { Control } from './control.ts'

export default {
  fault: 'A new title brings a deleted thread back.',
  file: 'src/ask/threads.ts',
  find: 'current => current && { ...current, title: shown }',
  replace: "(current = { thread, target: '' } as Thread) => ({ ...current, title: shown })",
  test: 'test/threads.test.ts',
  name: 'lists every thread that is in use',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'Of what turns say of a task, only what this version knows is shown.',
  file: 'src/trace/render-whole.ts',
  find: '      ...more,\n',
  replace: '',
  test: 'src/trace/whole.test.ts',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'Of what turns say of a task, only what this version knows is shown.',
  file: 'src/trace/render-details.ts',
  find: '      ...more,\n',
  replace: '',
  test: 'src/trace/details.test.ts',
} satisfies Control

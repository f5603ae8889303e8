import type { Control } from './control.ts'

export default {
  fault: 'Data that lies in a blob is not shown.',
  file: 'src/trace/details.ts',
  find: '    return await bus.resolve(event)\n',
  replace: '    return event\n',
  test: 'test/show.test.ts',
  name: 'on sqlite .*show prints',
} satisfies Control

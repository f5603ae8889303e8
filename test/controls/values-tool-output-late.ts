import type { Control } from './control.ts'

export default {
  fault: 'What a tool returns is taken a moment later, when its next call may have changed it.',
  file: 'src/tools/tool.ts',
  find: 'isPromise(running) ? await running : running',
  replace: 'await running',
  test: 'test/values/property.test.ts',
  name: 'in several processes',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A tool that asks for no approval any more never hears that a pending one was granted.',
  file: 'src/tools/station.ts',
  find: 'additionalTypes: [grantedType, deniedType],',
  replace: '...(tool.options.approval !== undefined && { additionalTypes: [grantedType, deniedType] }),',
  test: 'test/approval-input.test.ts',
  name: 'removes the approval',
} satisfies Control

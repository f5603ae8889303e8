import type { Control } from './control.ts'

export default {
  fault: 'A tool that its approval function lets run gets another input than the function saw.',
  file: 'src/tools/station.ts',
  find: 'if (!needsApproval(tool, input)) return { input }',
  replace: 'if (!needsApproval(tool, input)) return { input: await parsedInput(tool, call) }',
  test: 'test/approval-input.test.ts',
  name: 'on sqlite.*sees the input that the tool runs with',
} satisfies Control

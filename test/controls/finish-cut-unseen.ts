import type { Control } from './control.ts'

export default {
  fault: 'A call whose arguments were cut off is lost where the provider does not give it.',
  file: 'src/models/answer.ts',
  find: '      for (const [toolCallId, { toolName, input }] of this.#unfinishedCalls)\n',
  replace:
    '      for (const [toolCallId, { toolName, input }] of new Map<string, { toolName: string; input: string }>())\n',
  test: 'test/models/ends.test.ts',
  name: 'on sqlite .* which gives no call then',
} satisfies Control

import type { Control } from './control.ts'

export default {
  fault: 'A function that says whether a person must approve changes what the tool is called with.',
  patches: [
    {
      file: 'src/tools/station.ts',
      find: 'if (!(await needsApproval(tool, call))) return { input: await parsedInput(tool, call) }',
      replace:
        'const own = await parsedInput(tool, call)\n    if (!(await needsApproval(tool, call, own))) return { input: own }',
    },
    {
      file: 'src/tools/approval.ts',
      find: 'needsApproval(tool: AnyTool, call: CloudEvent)',
      replace: 'needsApproval(tool: AnyTool, _call: CloudEvent, own: unknown)',
    },
    { file: 'src/tools/approval.ts', find: 'approval(await parsedInput(tool, call))', replace: 'approval(own)' },
  ],
  test: 'test/values/values.test.ts',
  name: 'whether a person must approve',
} satisfies Control

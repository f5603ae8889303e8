import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { app } from '../../src/runtime/app.ts'
import { tool } from '../../src/tools/tool.ts'

const block = tool('block', {
  description: 'Blocks its thread.',
  input: z.number(),
  blocking: true,
  run: ms => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
    return 'blocked'
  },
})

export default app({ name: 'test', use: [block, agent('caller', { on: 'go', run: ctx => ctx.call(block, 300) })] })

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

const weigh = tool('weigh', {
  description: 'Counts the bytes of a blob.',
  input: z.string(),
  blocking: true,
  run: async (reference, { blob }) => (await blob(reference)).length,
})

export default app({
  name: 'test',
  use: [
    block,
    weigh,
    agent('caller', { on: 'go', run: ctx => ctx.call(block, 300) }),
    agent('weigher', { on: 'blob.came', run: (ctx, reference: string) => ctx.call(weigh, reference) }),
  ],
})

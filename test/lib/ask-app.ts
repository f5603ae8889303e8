import { z } from 'zod'
import { agent, app, tool } from '../../src/index.ts'

const square = tool('square', {
  description: 'Squares a number.',
  input: z.object({ n: z.number() }),
  run: ({ n }) => n * n,
})
const squarer = agent('squarer', { run: (ctx, n: number) => ctx.call(square, { n }) })

export default app({ name: 'ask', use: [square, squarer] })

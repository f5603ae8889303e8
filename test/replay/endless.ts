import { agent, app } from '../../src/index.ts'

/* What does not come to an end, or ends the process that it is in, and an agent that does neither. */

export default app({
  name: 'test',
  use: [
    agent('endless', {
      on: 'go',
      async run(ctx) {
        await ctx.sleep('1ms')
        for (;;);
      },
    }),
    agent('unborn', {
      on: 'go',
      init: () => {
        for (;;);
      },
      evolve: state => state,
      decide() {},
    }),
    agent('deadly', {
      on: 'go',
      run() {
        const kept: number[][] = []
        for (;;) {
          const many: number[] = []
          many.length = 1e7
          kept.push(many.fill(1))
        }
      },
    }),
    agent('well', { on: 'go', run: () => 'done' }),
  ],
})

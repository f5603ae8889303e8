import type { LanguageModelV4 } from '@ai-sdk/provider'
import { agent, app, tool } from '../../src/index.ts'
import { z } from 'zod'

const openingHours = tool('opening_hours', {
  description: 'Tells when the shop is open.',
  input: z.object({}),
  run: () =>
    'The shop is open from Monday to Friday from nine to six. On Saturday it is open from ten to four. On Sunday it is closed, except in December, when it is open from noon to five.',
})

const refundOrder = tool('refund_order', {
  description: 'Gives a refund for an order.',
  input: z.object({ request: z.string().describe('What the customer asks for') }),
  approval: true,
  run: () => 'The refund is on its way. The money is in the account within three days.',
})

/** The app, with any model. */
export const shopWith = (model: LanguageModelV4) =>
  app({
    name: 'chat',
    use: [
      openingHours,
      refundOrder,
      agent('shop-assistant', {
        model,
        instructions: 'You answer the customers of a shop. Use your tools, and be brief.',
        tools: [openingHours, refundOrder],
      }),
    ],
  })

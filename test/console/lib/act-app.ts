import { z } from 'zod'
import { agent, app, approval, event, model, tool } from '../../../src/index.ts'
import { reply, scriptedModel } from '../../../src/testing/scripted-model.ts'

/* A shop that needs its people: refunds and letters that wait for approval, a warehouse that fails. */

const complained = event('order.complained', z.object({ order: z.string(), amount: z.number(), text: z.string() }))
const wanted = event('goods.wanted', z.object({ goods: z.string(), count: z.number() }))
const written = event('letter.written', z.object({ to: z.string(), text: z.string() }))

const refund = tool('order.refund', {
  description: 'Pays money back.',
  input: z.object({ order: z.string(), amount: z.number(), note: z.string() }),
  output: z.boolean(),
  approval: ({ amount }) => amount > 10,
  run: () => true,
})
const reserve = tool('warehouse.reserve', {
  description: 'Puts goods aside.',
  input: z.object({ goods: z.string(), count: z.number() }),
  output: z.string(),
  run({ goods }) {
    if (shelf.isBroken) throw new Error(`the shelf of ${goods} does not answer`)
    return `${goods} are put aside`
  },
})
/** What tests and the code of a later version change. */
export const shelf = { isBroken: false }
const wording = process.env.ACT_WORDING ?? 'Sorry about'

const editor = approval<object>('letter.send')
const delivery = approval('delivery', { form: z.object({ day: z.enum(['Friday', 'Monday']) }) })
const carrier = agent('carrier', { on: 'order.packed', run: ctx => ctx.call(delivery, 'When shall we bring it?') })

const clerk = agent('clerk', {
  on: complained,
  async run(ctx, { order, amount, text }) {
    await ctx.call(refund, { order, amount, note: `${wording} order ${order}: ${text}` }, { within: '3h' })
  },
})
const buyer = agent('buyer', { on: wanted, run: (ctx, { goods, count }) => ctx.call(reserve, { goods, count }) })
const press = agent('press', {
  on: written,
  async run(ctx, letter) {
    const { approved, by } = await ctx.call(editor, letter, { within: '8m' })
    return approved ? `sent by ${by}` : 'kept'
  },
})
const answers = scriptedModel('answers', ({ text }) => reply(`We read: ${text}`))
const helper = agent('helper', {
  model: model(answers, { readOnly: true }),
  instructions: 'Answer what customers ask.',
  input: z.string(),
})

export const shop = { name: 'shop', use: [refund, reserve, clerk, buyer, press, carrier, helper] }
export default app(shop)

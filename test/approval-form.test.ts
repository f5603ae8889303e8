import { expect, it, test } from 'vitest'
import { z } from 'zod'
import { agent } from '../src/agents/agent.ts'
import { approval } from '../src/tasks/approval.ts'
import { asked, answerRequest, codeOf } from './lib/approvals.ts'
import { ended, onAnyBus } from './lib/world.ts'

/* A person fills in a form to grant a request. */

const day = z.enum(['Friday', 'Monday'])
const delivery = approval<string, { day: 'Friday' | 'Monday'; note?: string | undefined }>('delivery', {
  form: z.object({ day, note: z.string().optional() }),
})
const driver = agent('driver', {
  on: 'order.packed',
  run: async ctx => {
    const { approved, content } = await ctx.call(delivery, 'When shall we bring it?')
    return { approved, day: content?.day }
  },
})

onAnyBus(world => {
  it('is stored with its fields, and takes only what fits them', async () => {
    const worker = await (await world()).worker({ use: [driver] })
    const { bus } = worker
    const { id, correlationid } = await bus.publish({ type: 'order.packed', data: null })
    const [request] = await asked(bus, correlationid)
    expect(request!.data.form).toMatchObject({ type: 'object', required: ['day'] })
    for (const more of [{}, { content: { day: 'Sunday' } }, { content: { note: 'Ring twice.' } }])
      expect(await codeOf(answerRequest(bus, 'grant', request!, 'ann', more))).toBe('E_REQUEST_INVALID')
    await answerRequest(bus, 'grant', request!, 'ann', { content: { day: 'Friday' } })
    expect((await ended(worker, correlationid, id)).data).toMatchObject({ output: { approved: true, day: 'Friday' } })
  })
})

test('a form that no user interface can show as fields is refused when it is declared', () => {
  expect(() => approval('nested', { form: z.object({ at: z.object({ x: z.number() }) }) })).toThrow(
    '"at" must be a text',
  )
  expect(() => approval('list', { form: z.object({ names: z.array(z.string()) }) })).toThrow('"names" must be a text')
  expect(() => approval('text', { form: z.string() })).toThrow('it must be the schema of an object')
})

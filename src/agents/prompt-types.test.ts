import { expectTypeOf, test } from 'vitest'
import { z } from 'zod'
import { event } from '../event.ts'
import { offlineModel } from '../models/offline/language-model.ts'
import { agent } from './agent.ts'

const paid = event('order.paid', z.object({ order: z.string(), amount: z.coerce.number() }))
const options = { model: offlineModel(), instructions: '' }

test('the functions of a model agent get the parsed data of its schemas', () => {
  agent('typed', {
    ...options,
    on: paid,
    prompt: data => {
      expectTypeOf(data).toEqualTypeOf<{ order: string; amount: number }>()
      return data.order
    },
  })
  agent('called', {
    ...options,
    input: z.object({ n: z.number() }),
    instructions: ({ n }) => {
      expectTypeOf(n).toEqualTypeOf<number>()
      return `${n}`
    },
  })
  // @ts-expect-error -- the event has no such field
  agent('wrong', { ...options, on: paid, prompt: ({ total }) => total })
  agent('untyped', { ...options, on: 'order.placed', prompt: ({ item }: { item: string }) => item })
})

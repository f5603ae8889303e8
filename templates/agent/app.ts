import { agent, app, event, modelFromEnvironment, tool } from 'tidings'
import { z } from 'zod'

const notes = [
  { id: 'hours', text: 'The shop is open from 9 to 18 on weekdays. On Sunday it is open from 11 to 16.' },
  { id: 'returns', text: 'Goods can be returned within 30 days. Bring the receipt.' },
  { id: 'parking', text: 'Parking behind the house is free for two hours.' },
]

export const asked = event('question.asked', z.object({ text: z.string() }))

// A tool is ordinary code. It runs wherever a worker hosts it.
const search = tool('notes.search', {
  description: 'Search the notes of the shop',
  input: z.object({ query: z.string() }),
  run: ({ query }) => {
    const words = query.toLowerCase().match(/\p{L}{4,}/gu) ?? []
    return notes.filter(note => words.some(word => note.text.toLowerCase().includes(word)))
  },
})

// The offline model needs no key and no network. TIDINGS_MODEL in .env names a real one.
export const helper = agent('helper', {
  on: asked,
  model: await modelFromEnvironment(),
  instructions: 'Answer the question from the notes of the shop, and cite them.',
  prompt: ({ text }) => text,
  tools: [search],
})

export default app({ use: [helper, search] })

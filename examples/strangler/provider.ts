import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { json } from 'node:stream/consumers'
import { setTimeout } from 'node:timers/promises'

// Four calls at a time, 200 ms each; the others wait.
const slots = Array.from({ length: 4 }, () => Promise.resolve())
let calls = 0

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { model, messages } = (await json(request)) as { model: string; messages: { content: string }[] }
  const slot = calls++ % slots.length
  await (slots[slot] = slots[slot]!.then(() => setTimeout(200)))
  const content = `What there is to say about the ${messages.at(-1)!.content}.`
  response.setHeader('content-type', 'application/json')
  response.end(
    JSON.stringify({
      id: `chatcmpl-${calls}`,
      object: 'chat.completion',
      created: Math.floor(Date.now() / 1000),
      model,
      choices: [{ index: 0, finish_reason: 'stop', message: { role: 'assistant', content } }],
      usage: { prompt_tokens: 12, completion_tokens: 8, total_tokens: 20 },
    }),
  )
}

const provider = createServer((request, response) => void answer(request, response))
provider.listen(4601, () => console.log('the provider listens on 4601'))

import { Random } from '../crashloop/random.ts'
import type { Answer, Api, Message, Turn } from './api.ts'
import type { Call } from './call.ts'
import { chat } from './chat.ts'
import { callOf, kindOf, withText } from './kinds.ts'
import { messages } from './messages.ts'
import { responses } from './responses.ts'
import { hexOf, textOf } from './texts.ts'

const apis: readonly Api[] = [chat, chat, responses, messages]
const models = {
  chat: ['gpt-5.2', 'gpt-4.1-mini', 'deepseek/deepseek-v4'],
  responses: ['gpt-5.2', 'o5-mini'],
  messages: ['claude-sonnet-5'],
}
const toolNames = ['weather', 'tide_table', 'book-berth']

/** The calls of one conversation, in order: each continues the one before, or repeats it if it had no whole answer. */
function conversationOf(seed: number, conversation: number, firstCall: number): Call[] {
  const random = new Random(Math.imul(seed, 0x9e3779b1) ^ Math.imul(conversation + 1, 0x85ebca6b))
  const api = random.pick(apis)
  const turn = {
    model: random.pick(models[api.name]),
    instructions: `You keep harbour ${conversation} of ${seed}. ${textOf(random)}`,
    tools: random.next() < 0.6 ? toolNames.slice(0, random.whole(1, 3)) : [],
  }
  const history: Message[] = []
  const calls: Call[] = []
  const steps = random.whole(1, 6)
  let tag = ''
  let answered: Answer | undefined
  for (let step = 0; step < steps; step++) {
    const n = firstCall + calls.length
    const isRepeated = step > 0 && answered === undefined
    if (!isRepeated) {
      tag = `c${String(n).padStart(6, '0')}x`
      history.push(nextMessage(random, tag, answered))
    }
    const stream = random.next() < 0.6
    const asked: Turn = { ...turn, messages: [...history], stream, streamUsage: stream && random.next() < 0.5 }
    const kind = kindOf(random)
    const answer = withText(random, kind, answerOf(random, tag, step, asked, step < steps - 1))
    const call = callOf(random, kind, { n, conversation, tag, api, turn: asked, answer })
    calls.push(call)
    answered =
      call.kind !== 'other' && call.expected?.end === 'result' && call.expected.text === answer.text
        ? answer
        : undefined
    if (answered) history.push({ role: 'assistant', answer })
  }
  return calls
}

function nextMessage(random: Random, tag: string, answered: Answer | undefined): Message {
  if (!answered?.calls.length) return { role: 'user', text: `${textOf(random)} (${tag})` }
  return {
    role: 'tool',
    results: answered.calls.map(({ id }) => ({
      id,
      text: JSON.stringify({ level: random.whole(0, 900) / 100, of: tag }),
    })),
  }
}

/** Where the conversation goes on, a call of a tool has arguments that can be read. */
function answerOf(random: Random, tag: string, step: number, { model, tools }: Turn, goesOn: boolean): Answer {
  const callsTools = tools.length > 0 && random.next() < 0.5
  const calls = Array.from({ length: callsTools ? random.whole(1, 3) : 0 }, (_, i) => ({
    id: `${tag}${step}t${i}${hexOf(random, 6)}`,
    name: random.pick(tools),
    input:
      random.next() < 0.1 && !goesOn
        ? '{"place": "Kiel", "da'
        : JSON.stringify({ place: textOf(random, 4), days: random.whole(1, 9) }),
  }))
  const isCut = calls.length === 0 && random.next() < 0.05
  return {
    id: `${tag}${step}${hexOf(random, 8)}`,
    model,
    text: calls.length > 0 && random.next() < 0.6 ? '' : textOf(random, 60),
    calls,
    finish: calls.length > 0 ? 'tool-calls' : isCut ? 'length' : 'stop',
    usage: {
      input: random.whole(20, 4_000),
      output: random.whole(1, 900),
      cached: random.next() < 0.3 ? 16 : 0,
      reasoning: 0,
    },
  }
}

/** Whole conversations with at least so many calls. */
export function* conversations(seed: number, calls: number): Generator<Call[]> {
  for (let made = 0, n = 0; made < calls; n++) {
    const conversation = conversationOf(seed, n, made)
    made += conversation.length
    yield conversation.slice(0, conversation.length - Math.max(0, made - calls))
  }
}

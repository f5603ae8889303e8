import type { LanguageModelV4, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { app } from '../../src/runtime/app.ts'
import { tool } from '../../src/tools/tool.ts'
import { smtp } from '../../src/triggers/email/smtp.ts'

/* An app whose every part says a secret. They come by the environment, so that they stand in no file. */

const { LEAKY_SECRETS = '{}', LEAKY_DEFAULTS } = process.env
const secret = JSON.parse(LEAKY_SECRETS) as Record<string, string>

const vault = tool('vault.read', {
  description: `Reads the vault. ${secret.description}`,
  input: z.any(),
  run(_, { progress }) {
    progress({ tried: secret.progress })
    return { token: secret.output }
  },
})

const broken = tool('vault.broken', {
  description: 'Fails.',
  input: z.any(),
  retry: { maxAttempts: 2 },
  run() {
    throw new Error(`cannot log in: ${secret.error}`)
  },
})

const echo = tool('echo', { description: 'Says it again.', input: z.any(), run: input => input })

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}

/** Asks for the vault, then says a secret a few letters at a time. */
const model: LanguageModelV4 = {
  specificationVersion: 'v4',
  provider: 'leaky',
  modelId: 'model',
  supportedUrls: {},
  doGenerate: () => Promise.reject(new Error('it streams')),
  async doStream({ prompt }) {
    const said = `The vault says: ${secret.said} and no more.`
    const parts: LanguageModelV4StreamPart[] = prompt.some(({ role }) => role === 'tool')
      ? (said.match(/[^]{1,3}/g) ?? []).map(delta => ({ type: 'text-delta', id: '1', delta }))
      : [
          {
            type: 'tool-call',
            toolCallId: 'c1',
            toolName: 'vault_read',
            input: JSON.stringify({ with: secret.arguments }),
          },
        ]
    return {
      stream: ReadableStream.from([
        ...parts,
        { type: 'finish' as const, finishReason: { unified: 'stop' as const, raw: 'stop' }, usage },
      ]),
    }
  },
}

const talker = agent('talker', {
  on: 'talk.wanted',
  model,
  instructions: `Say it. ${secret.instructions}`,
  tools: [vault],
})

/** Keeps a secret of its own in its state, and says it. */
const keeper = agent('keeper', {
  on: 'keep.wanted',
  init: () => ({ key: secret.state }),
  evolve: (state: { key: string | undefined }) => state,
  decide(state, inputs, ctx) {
    if (inputs[0]!.call !== undefined) return ctx.complete({ kept: state.key })
    ctx.call({ type: 'tool.invoke', target: echo.name, data: { input: secret.made }, key: `call ${secret.key}` })
    ctx.emit({ type: 'key.kept', data: { [`${secret.field}`]: 1 }, subject: `about ${secret.subject}` })
  },
})

/** Fails each time that it is tried, and is on the attention list in between. */
const stubborn = tool('stubborn', {
  description: 'Fails again and again.',
  input: z.any(),
  retry: { maxAttempts: 1_000 },
  run() {
    throw new Error(`a bug with ${secret.reason}`)
  },
})

const patient = agent('patient', { on: 'trouble.wanted', run: ctx => ctx.call(stubborn, null) })

const caller = agent('caller', { on: 'error.wanted', run: ctx => ctx.call(broken, null) })

/** Takes a mail, of any size, and says what it read. */
const reader = agent('reader', { on: 'email.received', run: (_, mail: { text: string }) => ({ read: mail.text }) })

export default app({
  name: 'leaky',
  use: [talker, keeper, patient, caller, reader, vault, broken, stubborn, echo, smtp()],
  redact: LEAKY_DEFAULTS
    ? { paths: ['data.card.number', 'data.**.pin'], patterns: [{ name: 'staff-number', match: /\bE\d{6}\b/ }] }
    : { defaults: false },
})

import type { LanguageModelV4, LanguageModelV4StreamPart } from '@ai-sdk/provider'
import { z } from 'zod'
import { agent } from '../../src/agents/agent.ts'
import { event } from '../../src/event.ts'
import { app } from '../../src/runtime/app.ts'
import { approval } from '../../src/tasks/approval.ts'
import { tool } from '../../src/tools/tool.ts'
import { smtp } from '../../src/triggers/email/smtp.ts'
import { files } from '../../src/triggers/files/files.ts'
import { mqtt } from '../../src/triggers/mqtt/mqtt.ts'
import { schedule } from '../../src/triggers/schedule/schedule.ts'
import { webhook } from '../../src/triggers/webhook/webhook.ts'
import { on } from '../../src/workflows/patterns.ts'
import { workflow } from '../../src/workflows/workflow.ts'

/* An app with every door and every part, each of which says canaries. They come by the environment: they stand in no file. */

const { CANARIES = '{}', CANARIES_OFF, CANARIES_MQTT, CANARIES_FOLDER = '' } = process.env
const canary = JSON.parse(CANARIES) as Record<string, string>
const any = z.any()

/* Tools: what they give, say on the way, and throw. */

const give = tool('give', {
  description: `Gives. ${canary.toolDescription}`,
  input: any,
  run(_, { progress }) {
    progress({ on: canary.toolProgress })
    return { given: canary.toolOutput, [canary.toolOutputKey!]: 1, login: { pin: canary.toolPin } }
  },
})
const failing = tool('failing', {
  description: 'Fails.',
  input: any,
  run() {
    const cause = Object.assign(new Error(`below: ${canary.toolCause}`), { code: canary.toolCode })
    const functions = {
      [canary.toolStack!]: () => {
        throw new Error(`above: ${canary.toolError}`, { cause })
      },
    }
    functions[canary.toolStack!]!()
  },
})
const stubborn = tool('stubborn', {
  description: 'Fails again and again.',
  input: any,
  retry: { maxAttempts: 1_000 },
  run() {
    throw new Error(`a bug with ${canary.attentionReason}`)
  },
})
const refund = tool('refund', { description: 'Refunds.', input: any, approval: true, run: () => null })

/* A model: text and reasoning a few letters at a time, arguments, what its provider says beside them, and how it fails. */

const usage = {
  inputTokens: { total: 1, noCache: 1, cacheRead: 0, cacheWrite: 0 },
  outputTokens: { total: 1, text: 1, reasoning: 0 },
}
const pieces = (type: 'text' | 'reasoning', id: string, text = ''): LanguageModelV4StreamPart[] => [
  { type: `${type}-start`, id },
  ...(text.match(/[^]{1,3}/g) ?? []).map(delta => ({ type: `${type}-delta` as const, id, delta })),
  { type: `${type}-end`, id },
]
const model: LanguageModelV4 = {
  specificationVersion: 'v4',
  provider: 'canaries',
  modelId: 'model',
  supportedUrls: {},
  doGenerate: () => Promise.reject(new Error('it streams')),
  async doStream({ prompt }) {
    if (JSON.stringify(prompt).includes('fail now')) throw new Error(`refused: ${canary.modelError}`)
    const isSecond = prompt.some(({ role }) => role === 'tool')
    const input = JSON.stringify({ with: canary.modelArguments })
    return {
      stream: ReadableStream.from<LanguageModelV4StreamPart>([
        { type: 'stream-start', warnings: [{ type: 'other', message: `careful: ${canary.modelWarning}` }] },
        ...pieces('reasoning', 'r', `Let me see, ${canary.modelReasoning}, yes.`),
        ...pieces('text', 't', isSecond ? `It is: ${canary.modelText} and no more.` : 'I look.'),
        { type: 'response-metadata', id: `msg ${canary.modelResponse}`, modelId: 'm' },
        { type: 'source', sourceType: 'url', id: 's', url: `https://example.org/?${canary.modelSource}`, title: 'A' },
        { type: 'file', mediaType: 'text/plain', data: { type: 'data', data: Buffer.from(canary.modelFile!) } },
        ...(isSecond
          ? []
          : [
              { type: 'tool-call' as const, toolCallId: `c ${canary.modelCall}`, toolName: 'give', input },
              { type: 'tool-call' as const, toolCallId: 'c2', toolName: `${canary.modelTool}`, input: '{}' },
            ]),
        {
          type: 'finish',
          finishReason: { unified: isSecond ? 'stop' : 'tool-calls', raw: `raw ${canary.modelRawFinish}` },
          usage,
          providerMetadata: { canaries: { note: canary.modelMetadata! } },
        },
      ]),
    }
  },
}
const talker = agent('talker', {
  on: 'talk.wanted',
  model,
  instructions: `Say it. ${canary.modelInstructions}`,
  tools: [give],
})

/* Agents: what they keep, emit, call, ask and throw. */

const keeper = agent('keeper', {
  on: 'keep.wanted',
  init: () => ({ key: canary.agentState }),
  evolve: (state: { key: string | undefined }) => state,
  decide(state, inputs, ctx) {
    if (inputs[0]!.call !== undefined) return ctx.complete({ kept: state.key, out: canary.agentOutput })
    ctx.call({
      type: 'tool.invoke',
      target: give.name,
      data: { input: canary.agentCall },
      key: `${canary.agentCallKey}`,
    })
    ctx.emit({ type: 'key.kept', data: { [canary.agentEmitKey!]: 1 }, subject: `about ${canary.agentEmitSubject}` })
  },
})
const named = agent('named', {
  on: 'name.wanted',
  run: ctx => ctx.emit({ type: `key.${canary.agentEmitType}`, data: null }),
})
const targeting = agent('targeting', {
  on: 'target.wanted',
  init: () => null,
  evolve: state => state,
  decide(_state, _inputs, ctx) {
    ctx.call({ type: 'tool.invoke', target: `${canary.agentTarget}`, data: { input: null } })
  },
})
const sleeping = agent('sleeping', {
  on: 'sleep.wanted',
  init: () => null,
  evolve: state => state,
  decide(_state, _inputs, ctx) {
    ctx.sleep('1h', `${canary.agentSleepKey}`)
  },
})
const throwing = agent('throwing', {
  on: 'throw.wanted',
  run() {
    console.log(canary.agentConsole)
    throw new Error(`no login: ${canary.agentThrow}`)
  },
})
const boss = approval('boss')
const asking = agent('asking', {
  on: 'ask.wanted',
  async run(ctx) {
    const { comment } = await ctx.call(boss, { about: canary.approvalWhat }, { within: '1h' })
    return { comment }
  },
})
const paying = agent('paying', { on: 'pay.wanted', run: ctx => ctx.call(refund, { to: canary.approvalInput }) })
const patient = agent('patient', { on: 'trouble.wanted', run: ctx => ctx.call(stubborn, null) })
const caller = agent('caller', { on: 'error.wanted', run: ctx => ctx.call(failing, null) })
const reader = agent('reader', { on: 'email.received', run: (_, mail: { text: string }) => ({ read: mail.text }) })
const remembering = workflow('remembering', { on: 'flow.wanted', within: '1h' })
  .when('went', on('flow.went'), { within: '1h' })
  .complete(s => s.event)

/* Doors. */

const order = event('order.hooked', z.object({ card: z.object({ number: z.string() }) }))
const reading = event('room.reading', z.object({ celsius: z.number() }))
const dropped = event('order.dropped', z.object({ bytes: z.number().max(1) }))
const ticked = event('clock.ticked', z.object({ with: any }))

export default app({
  name: 'canaries',
  use: [
    talker, keeper, named, targeting, sleeping, throwing, asking, paying, patient, caller, reader, remembering,
    give, failing, stubborn, refund,
    smtp(),
    webhook({ port: 0, endpoints: { open: { scheme: 'none', publishes: [order] }, plain: { scheme: 'none' } } }),
    mqtt({
      url: CANARIES_MQTT!,
      clientId: `canaries-${process.pid}`,
      version: '3.1.1',
      topics: { 'rooms/#': 'mqtt.received', 'typed/#': reading },
    }),
    files('drop', { folder: CANARIES_FOLDER, stable: '100ms', types: { '*.odd': dropped } }),
    schedule('tick', { every: '1h', type: ticked, data: { with: canary.scheduleData } }),
  ],
  redact: CANARIES_OFF
    ? { defaults: false }
    : {
        paths: ['data.card.number', 'data.**.pin', 'webhook.received:data.body.secret', 'email.received:data.envelope.helo'],
        patterns: [{ name: 'staff-number', match: /\bE\d{9}\b/ }],
      },
}) // biome-ignore format: lists

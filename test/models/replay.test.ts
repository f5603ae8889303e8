import { expect, it } from 'vitest'
import { createEvent } from '../../src/event.ts'
import { parseId } from '../../src/bus/ids.ts'
import { readMessage } from '../../src/models/messages.ts'
import { parseEffects, resolveEffects } from '../../src/replay/effects.ts'
import { planFork, publishFork } from '../../src/replay/fork.ts'
import { Replayer } from '../../src/replay/replayer.ts'
import { sourceFromBus } from '../../src/replay/source.ts'
import { Programs } from '../../src/tasks/programs.ts'
import { openaiServer } from '../../src/testing/openai-server.ts'
import { until } from '../../src/testing/wait.ts'
import { anthropicServer } from '../lib/providers/anthropic.ts'
import { models, walk } from '../lib/providers/models.ts'
import { eventsOf, onAnyBus } from '../lib/world.ts'

onAnyBus(world => {
  const call = (n: number) => ({ name: 'step', input: { n } })

  it('a fork continues with the thinking of its original task', async () => {
    await using server = await anthropicServer(
      { thinking: 'One.', calls: [call(1)] },
      { thinking: 'Two.', calls: [call(2)] },
      { text: 'Done.' },
      { thinking: 'Three.', text: 'Done otherwise.' },
    )
    const { done, worker } = await walk(await world(), models.anthropic(server.url))
    // Its last turn decided on the answer "Done.", the one before asked for it.
    const { task, version } = parseId(done.id)!
    const plan = await planFork(worker.bus, { task, version: version - 1 })
    const effects = parseEffects('model/anthropic.messages/claude-sonnet-4-5=live,tool/step=live')
    const forked = await publishFork(worker.bus, plan, 'fork', resolveEffects([], { effects, stubs: new Map() }))
    const end = await until(
      async () =>
        (await eventsOf(worker, forked.correlation)).find(
          ({ id, type }) => id.startsWith(forked.task) && type.startsWith('agent.task.'),
        ),
      { within: 20_000 },
    )
    expect(server.refused).toEqual([])
    expect(end.data).toMatchObject({ output: 'Done otherwise.' })
    const thoughts = server.requests
      .at(-1)!
      .messages.flatMap(({ content }) => content.flatMap(({ thinking }) => thinking ?? []))
    expect(thoughts).toEqual(['One.', 'Two.'])
  })

  it('a task whose answers were cut off, empty and cut within a call is decided again as it was', async () => {
    await using server = await openaiServer(
      { toolCalls: [{ name: 'step', arguments: '{"n": 1' }], finish: 'length' },
      {},
      { text: 'Once upon ', finish: 'length' },
      { text: 'a time.' },
    )
    const { done, worker, walker } = await walk(await world(), models.compatible(server.url))
    expect(done.data).toMatchObject({ output: 'Once upon a time.' })
    const replay = new Replayer(new Programs([walker.definition]))
    for await (const { position, event } of sourceFromBus(worker.bus, { correlation: done.correlationid }).events())
      await replay.add(position, event)
    expect(replay.finish()).toMatchObject({ tasks: 1, divergences: [], skipped: [] })
  })
})

it('an answer that was recorded before its parts were kept is given back', () => {
  const data = {
    model: 'm',
    text: 'I look.',
    reasoning: 'Hm.',
    toolCalls: [
      { toolCallId: 'c1', toolName: 'step', input: { n: 1 } },
      { toolCallId: 'c2', toolName: 'step', malformed: '{"n"' },
    ],
    finish: 'tool-calls',
    usage: { input: 1, output: 1 },
  }
  expect(readMessage({ role: 'assistant', event: 'e' }, createEvent({ type: 'model.result', data }))).toEqual({
    role: 'assistant',
    content: [
      { type: 'reasoning', text: 'Hm.' },
      { type: 'text', text: 'I look.' },
      { type: 'tool-call', toolCallId: 'c1', toolName: 'step', input: { n: 1 } },
      { type: 'tool-call', toolCallId: 'c2', toolName: 'step', input: { malformed: '{"n"' } },
    ],
  })
})

it('an event without data is a message that says so, and not the text "null"', () => {
  const message = readMessage({ role: 'user', event: 'e' }, createEvent({ type: 'question.asked', data: null }))
  expect(message.content).toEqual([{ type: 'text', text: 'The event question.asked arrived without data.' }])
})

import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { start } from '../../src/index.ts'
import { failed, given, result, says, until, wants } from '../../src/testing/index.ts'
import app, { desk, helper } from './app.ts'

// The tests of docs/testing.md. They run with `node --test`, as in a project of a user.

test('the desk asks the helper, then publishes the answer', async () => {
  const question = given(desk, { event: { type: 'question.asked', data: { text: 'When?' } } })
  await question.emits([{ type: 'agent.invoke', target: 'helper', data: { input: 'When?' } }])
  await question
    .when(result('helper', 'On Sunday.'))
    .emits([{ type: 'question.answered', data: { answer: 'On Sunday.' } }, { type: 'agent.task.completed' }])
})

test('the desk fails if the helper fails', async () => {
  await given(desk, { event: { type: 'question.asked', data: { text: 'When?' } } })
    .when(failed('helper', 'E_MODEL_OUTPUT'))
    .emits([{ type: 'agent.task.failed', data: { error: { code: 'E_MODEL_OUTPUT' } } }])
})

test('the helper answers from the notes', async () => {
  const question = given(helper, { input: 'When?' })
  await question
    .when(wants('notes.search', { query: 'open' }))
    .emits([{ type: 'tool.invoke', target: 'notes.search', data: { input: { query: 'open' } } }])
  await question
    .when(result('notes.search', [{ id: 'note-0', text: 'Open on Sunday.' }]), says('On Sunday.'))
    .emits([{ type: 'agent.task.completed', data: { output: 'On Sunday.' } }])
})

test('the app answers', async () => {
  const home = await mkdtemp(join(tmpdir(), 'first-'))
  const running = await start(app, { home, only: ['agents', 'tools', 'models'] })
  try {
    const { correlationid } = await running.bus.publish({ type: 'question.asked', data: { text: 'Open on Sunday?' } })
    const answered = await until(async () => {
      const events = await Array.fromAsync(running.bus.read({ correlation: correlationid }))
      return events.find(({ event }) => event.type === 'question.answered')
    })
    assert.match(JSON.stringify(answered.event.data), /from ten to four/)
  } finally {
    await running.stop()
    await rm(home, { recursive: true })
  }
})

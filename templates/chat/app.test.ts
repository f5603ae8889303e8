import assert from 'node:assert/strict'
import { test } from 'node:test'
import { reply, testApp } from 'tidings/testing'
import app, { helper } from './app.ts'

test('the helper remembers the conversation', async () => {
  await using world = await testApp(app, {
    model: ({ prompt, text }) => reply(`message ${prompt.filter(({ role }) => role === 'user').length}: ${text}`),
  })
  const ask = async (text: string) => (await world.ask(helper, text, { thread: 'ann' })).result()
  assert.equal(await ask('Hello'), 'message 1: Hello')
  assert.equal(await ask('When are you open?'), 'message 2: When are you open?')
})

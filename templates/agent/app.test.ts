import assert from 'node:assert/strict'
import { test } from 'node:test'
import { callTool, reply, testApp } from 'tidings/testing'
import app, { helper } from './app.ts'

test('the helper searches the notes, then answers', async () => {
  await using world = await testApp(app, {
    model: [callTool('notes.search', { query: 'open on Sunday' }), reply('From 11 to 16.')],
  })
  const handle = await world.ask(helper, { text: 'When are you open on Sunday?' })
  assert.equal(await handle.result(), 'From 11 to 16.')
  const found = await world.expect('tool.result')
  assert.match(JSON.stringify(found.data), /from 11 to 16/)
})

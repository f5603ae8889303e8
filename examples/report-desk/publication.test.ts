import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client, StreamableHTTPClientTransport } from '@modelcontextprotocol/client'
import { expect, onTestFinished, test } from 'vitest'
import { app, offlineModel, start } from '../../src/index.ts'
import { Library } from './library/library.ts'
import { members } from './members.ts'

test('an MCP client searches the library, reads a passage, and gets some before its question', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'report-desk-'))
  const library = new Library(join(folder, 'library.sqlite'))
  onTestFinished(() => {
    library.close()
    rmSync(folder, { recursive: true, force: true })
  })
  await library.refresh(realpathSync(join(import.meta.dirname, '../../node_modules/croner')), { isPackage: true })
  const desk = app({ name: 'desk', ...members(library, join(folder, 'reports'), offlineModel({ msPerWord: 0 })) })
  const running = await start(desk, { home: join(folder, 'home'), port: 0 })
  onTestFinished(() => running.stop())
  const client = new Client({ name: 'test', version: '1' }, { versionNegotiation: { mode: 'auto' } })
  await client.connect(new StreamableHTTPClientTransport(new URL(`${running.addresses[0]}/mcp`)))
  onTestFinished(() => client.close())

  expect((await client.listTools()).tools.map(({ name }) => name)).toContain('researcher')
  const found = await client.callTool({ name: 'library_search', arguments: { query: 'timezone' } })
  const { hits } = found.structuredContent as { hits: { id: string }[] }
  const uri = `library://passages/${encodeURIComponent(hits[0]!.id)}`
  const { contents } = await client.readResource({ uri })
  expect(contents).toEqual([{ uri, mimeType: 'text/plain', text: library.read(hits[0]!.id)!.text }])
  const { messages } = await client.getPrompt({
    name: 'quote',
    arguments: { topic: 'timezone', question: 'Which one?' },
  })
  expect(JSON.stringify(messages[0]!.content)).toContain(hits[0]!.id)
})

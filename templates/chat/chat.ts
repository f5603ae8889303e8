import { createInterface } from 'node:readline'
import { start } from 'tidings'
import app, { helper } from './app.ts'

// A conversation in the terminal: npm run chat. The thread remembers it, also after a restart.
process.env.TIDINGS_LOG_LEVEL ??= 'silent'
const running = await start(app, { only: ['agents', 'tools', 'models'] })
process.stdout.write('> ')
for await (const line of createInterface({ input: process.stdin })) {
  const handle = await running.ask(helper, line, { thread: 'terminal' })
  for await (const part of handle.stream()) if (part.type === 'text') process.stdout.write(part.text)
  process.stdout.write('\n> ')
}
await running.stop()

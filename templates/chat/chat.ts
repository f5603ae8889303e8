import { createInterface } from 'node:readline/promises'
import { start } from 'tidings'
import app, { helper } from './app.ts'

// A conversation in the terminal: npm run chat. The thread remembers it, also after a restart.
process.env.TIDINGS_LOG_LEVEL ??= 'silent'
const running = await start(app, { only: ['agents', 'tools', 'models'] })
const terminal = createInterface({ input: process.stdin, output: process.stdout, prompt: '> ' })
terminal.prompt()
for await (const line of terminal) {
  const handle = await running.ask(helper, line, { thread: 'terminal' })
  for await (const part of handle.stream()) if (part.type === 'text') process.stdout.write(part.text)
  process.stdout.write('\n')
  terminal.prompt()
}
await running.stop()

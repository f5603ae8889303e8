import { beginning } from '../../src/bus/cursor.ts'
import { start } from '../../src/index.ts'
import blocking from './blocking-app.ts'

const module = new URL('./blocking-app.ts', import.meta.url).href
const { bus } = await start(blocking, { module, only: ['agents', 'tools'] })
await bus.publish({ type: 'go', data: null })
for await (const { event } of bus.follow(beginning, undefined, new AbortController().signal))
  if (event.type === 'tool.result') console.log(event.data)

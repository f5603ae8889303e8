import { modelFromEnvironment, start } from '../../src/index.ts'
import { atReadingSpeed, shopWith } from './app.ts'
import { buildPage, serve } from './server.ts'

const model = await modelFromEnvironment()
const isOffline = model.modelId.startsWith('offline')
const running = await start(shopWith(isOffline ? atReadingSpeed(model) : model), {
  only: ['agents', 'tools', 'models'],
})
const { url, close } = await serve(running, await buildPage(), Number(process.env.PORT ?? 4120))
console.log(`The chat is at ${url}`)

const stop = () => {
  close()
  void running.stop()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)

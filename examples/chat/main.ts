import { modelFromEnvironment, offlineModel, start } from '../../src/index.ts'
import { shopWith } from './app.ts'
import { buildPage, serve } from './server.ts'

// At the speed of a reader, so that there is time to reload or to stop an answer.
const model = process.env.TIDINGS_MODEL ? await modelFromEnvironment() : offlineModel({ msPerWord: 80 })
const running = await start(shopWith(model), {
  only: ['agents', 'tools', 'models'],
})
const { url, close } = await serve(running, await buildPage(), Number(process.env.PORT ?? 4120))
console.log(`The chat is at ${url}`)

const stop = () => {
  close()
  void running.stop()
}
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, stop)

import { agent, app, offlineModel } from '../../src/index.ts'

const writer = agent('writer', { model: offlineModel(), instructions: 'Repeat the question.' })

export default app({ name: 'runtimes', use: [writer] })

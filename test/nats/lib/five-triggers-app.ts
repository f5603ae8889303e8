import { join } from 'node:path'
import { app, files, mqtt, schedule, smtp, webhook } from '../../../src/index.ts'
import { secrets } from '../../lib/webhook.ts'

/** One trigger of each kind. Where they are comes from the environment, as it does where an app is deployed. */
export const triggerApp = () =>
  app({
    name: 'triggers',
    use: [
      smtp(),
      webhook({ endpoints: { orders: { secret: secrets.standard } } }),
      schedule('tick', { every: '1s' }),
      files('drop', { folder: join(process.env.TIDINGS_HOME ?? '.', 'drop'), stable: '100ms' }),
      mqtt({ clientId: 'desk', topics: ['rooms/#'], version: '3.1.1' }),
    ],
  })

export default triggerApp()

import { textOf } from '../../src/errors.ts'
import { kafkaInfo } from '../../src/testing/kafka/info.ts'

export type GivenKafka = { readonly bootstrap: string; readonly clusterId: string } | { readonly reason: string }

/** The running broker that `TIDINGS_KAFKA_BOOTSTRAP` names (HOST:PORT), in place of one that the tests start; undefined without it. */
export async function givenKafka(env: NodeJS.ProcessEnv = process.env): Promise<GivenKafka | undefined> {
  const bootstrap = env.TIDINGS_KAFKA_BOOTSTRAP
  if (!bootstrap) return undefined
  try {
    const [host = '', port = '9092'] = bootstrap.split(':')
    const { clusterId } = await kafkaInfo(host, Number(port))
    return { bootstrap, clusterId }
  } catch (error) {
    return { reason: `TIDINGS_KAFKA_BOOTSTRAP: ${textOf(error)}` }
  }
}

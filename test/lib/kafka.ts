import { inject } from 'vitest'
import { describeUnless } from './needing.ts'

/*
 * How a test file comes to Kafka: kafka-setup.ts starts one broker for the whole run, when the first test asks for it, or says why there
 * is none.
 */

declare module 'vitest' {
  export interface ProvidedContext {
    kafka: { readonly broker: string; readonly noServer: string | undefined; readonly noJars: string | undefined }
  }
}

/** Host and port of the broker that all test files share: name the log that you make on it so that nobody else does. */
export async function kafkaBootstrap(): Promise<string> {
  const response = await fetch(inject('kafka').broker)
  if (!response.ok) throw new Error(await response.text())
  return response.text()
}

/** Tests on `kafkaBootstrap()`. Without a broker they are skipped, or fail where brokers are required. */
export const describeKafka = (name: string, body: () => void) => describeUnless(inject('kafka').noServer, name, body)

/** Tests that start brokers of their own, with `startKafka()`. */
export const describeKafkaServer = (name: string, body: () => void) =>
  describeUnless(inject('kafka').noJars, name, body)

// Needs the optional peers vitest and fast-check, which the conformance suite uses.
export {
  cancelled,
  expires,
  failed,
  given,
  result,
  says,
  wants,
  type Expected,
  type ScenarioStep,
  type Scenario,
  type Start,
} from './given.ts'
export * from './conformance/index.ts'
export { TestClock } from './clock.ts'
export { until } from './wait.ts'
export { openaiServer, type ChatRequest, type OpenAIServer, type RecordedRequest, type Reply } from './openai-server.ts'
export { findNatsServer, type FindOptions, type NatsServer } from './nats/find.ts'
export { startNats, type Nats, type NatsOptions } from './nats/start.ts'
export { startNatsCluster, type NatsCluster } from './nats/cluster.ts'
export { startProxy, type TcpProxy } from './tcp-proxy.ts'
export { selfSigned } from './certificate.ts'
export { CommitFailures } from './sqlite/commit-failures.ts'
export { openFaultyNats, type NatsFaults } from './nats/open-faulty.ts'
export { openFaultySqlite, type SqliteFaults } from './sqlite/open-faulty.ts'

// What authors of apps test with. Works with any test runner.
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
export { MemoryDriver } from './memory/driver.ts'
export { MemoryLog } from './memory/log.ts'
export { until } from './wait.ts'
export { openaiServer, type ChatRequest, type OpenAIServer, type RecordedRequest, type Reply } from './openai-server.ts'

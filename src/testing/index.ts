// What authors of apps test with. Works with any test runner.
export {
  arrives,
  cancelled,
  expires,
  failed,
  given,
  result,
  type Expected,
  type ScenarioStep,
  type Scenario,
  type Start,
} from './given.ts'
export {
  callTool,
  callTools,
  fail,
  reply,
  type ModelAnswers,
  type ModelScript,
  type ModelStep,
  type ScriptedRequest,
} from './scripted-model.ts'
export {
  testApp,
  TestApp,
  type AnswerOptions,
  type ExpectedData,
  type TestAppOptions,
  type ToolStub,
  type SkipOptions,
} from './test-app.ts'
export { MemoryDriver } from './memory/driver.ts'
export { MemoryLog, type MemoryLogOptions } from './memory/log.ts'
export { until } from './wait.ts'
export { openaiServer, type ChatRequest, type OpenAIServer, type RecordedRequest, type Reply } from './openai-server.ts'

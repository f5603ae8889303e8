/*
 * Names of attributes and their values. `messaging`, `http`, `network` and `error`: OpenTelemetry Semantic Conventions 1.45.0. `gen_ai`: the
 * same release, the last before they moved to github.com/open-telemetry/semantic-conventions-genai. `tidings`: our own.
 */

export const attribute = {
  agentName: 'gen_ai.agent.name',
  agentId: 'gen_ai.agent.id',
  agentVersion: 'gen_ai.agent.version',
  conversation: 'gen_ai.conversation.id',
  genAiOperation: 'gen_ai.operation.name',
  provider: 'gen_ai.provider.name',
  requestModel: 'gen_ai.request.model',
  responseModel: 'gen_ai.response.model',
  finishReasons: 'gen_ai.response.finish_reasons',
  toolName: 'gen_ai.tool.name',
  toolType: 'gen_ai.tool.type',
  toolCallId: 'gen_ai.tool.call.id',
  inputTokens: 'gen_ai.usage.input_tokens',
  outputTokens: 'gen_ai.usage.output_tokens',
  cachedTokens: 'gen_ai.usage.cache_read.input_tokens',

  messagingSystem: 'messaging.system.name',
  messagingOperation: 'messaging.operation.type',
  destination: 'messaging.destination.name',
  messageId: 'messaging.message.id',
  messageConversation: 'messaging.message.conversation_id',
  consumerGroup: 'messaging.consumer.group.name',

  httpMethod: 'http.request.method',
  httpRoute: 'http.route',
  protocol: 'network.protocol.name',
  errorType: 'error.type',

  correlation: 'tidings.correlation',
  tenant: 'tidings.tenant',
  replay: 'tidings.replay',
  /** Of an event: the agent, tool or model that it is addressed to. */
  target: 'tidings.target',
  task: 'tidings.task',
  taskEnd: 'tidings.task.end',
  turn: 'tidings.turn',
  turnInputs: 'tidings.turn.inputs',
  turnEmits: 'tidings.turn.emits',
  program: 'tidings.program',
  programVersion: 'tidings.program.version',
  programHash: 'tidings.program.hash',
  attempt: 'tidings.attempt',
  outcome: 'tidings.outcome',
  reason: 'tidings.reason',
  /** Seconds from when an event became available until a worker received it. */
  queueTime: 'tidings.queue_time',
  cost: 'tidings.cost',
  duplicate: 'tidings.duplicate',
} as const

export const operation = {
  chat: 'chat',
  executeTool: 'execute_tool',
  invokeAgent: 'invoke_agent',
  send: 'send',
  process: 'process',
} as const

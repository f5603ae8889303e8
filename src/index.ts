export { agent, type Agent } from './agents/agent.ts'
export type {
  ModelAgentOptions,
  ModelLike,
  ProgramAgentOptions,
  ScriptAgentOptions,
  TypedAgentOptions,
} from './agents/agent-options.ts'
export type { FinishRules } from './agents/finish.ts'
export type { Guard, GuardOptions, GuardVerdict } from './agents/guard.ts'
export { handover, type Handover, type ModelTool, type NamedAgent } from './agents/loop-tools.ts'
export { openS3, type S3Credentials, type S3Options } from './blobs/s3.ts'
export type { BlobStore } from './bus/driver.ts'
export { redactor, type Redaction, type Redactor } from './bus/redact.ts'
export { spanIds, type SpanIds } from './bus/telemetry/ids.ts'
export { errors, TidingsError, type ErrorCode, type ErrorData } from './errors.ts'
export { event, type AnyEventType, type CloudEvent, type Draft, type EventType } from './event.ts'
export { model, type Model, type ModelOptions } from './models/model.ts'
export { offlineModel } from './models/offline/language-model.ts'
export { modelFromEnvironment } from './models/provider.ts'
export type * from './received.ts'
export {
  type AskOptions,
  type Askable,
  type Client,
  type PublishedAttributes,
} from './ask/client.ts'
export type { ApprovalAnswerOptions, ApprovalClient } from './ask/approval-client.ts'
export type { TaskHandle } from './ask/handle.ts'
export type { PartialOutput } from './ask/partial-output.ts'
export type { StreamPart } from './ask/parts.ts'
export { app, type App, type AppOptions, type AppMember } from './runtime/app.ts'
export { connect, type ClientConnection } from './runtime/connect.ts'
export { underPrefix, type Fetch, type WebHandlers } from './runtime/web.ts'
export type { Action, Principal } from './gateway/identity/principal.ts'
export { start, type Role, type RunningApp, type StartOptions } from './runtime/start.ts'
export type { AcceptedDecision } from './tasks/approval-service.ts'
export { approval, type Approval, type ApprovalOptions, type ApprovalDecision } from './tasks/approval.ts'
export { answerApproval, type ApprovalReply } from './tasks/approval-answer.ts'
export { PendingApprovals, type OpenApproval } from './tasks/approval-list.ts'
export type { Budget } from './tasks/budget.ts'
export { duration, type Timeout, type Duration } from './tasks/duration.ts'
export type { CallRetryOptions, RetryOptions } from './tasks/retry.ts'
export type { MessagePart } from './tasks/conversation.ts'
export type { ModelSettings } from './tasks/model-settings.ts'
export type { EmitRequest, CallRequest, Program, TurnContext } from './tasks/program.ts'
export { CallError } from './tasks/script.ts'
export type { CallOptions, ScriptContext } from './tasks/script-context.ts'
export type { StepContext, StepOptions } from './tasks/steps.ts'
export { readTaskState, type RecordedState } from './tasks/task-state.ts'
export type { TurnLog } from './tasks/turn-log.ts'
export type { EventWaitOptions } from './tasks/waits.ts'
export {
  kafkaSink,
  type KafkaSinkOptions,
  type KafkaSinkSchema,
  type KafkaSinkTopic,
} from './sinks/kafka/kafka-sink.ts'
export type { RunningSink, Sink } from './sinks/sink.ts'
export { tool, type AnyTool, type Tool, type ToolContext, type ToolOptions } from './tools/tool.ts'
export { files, type FilesOptions } from './triggers/files/files.ts'
export { schedule, type ScheduleOptions } from './triggers/schedule/schedule.ts'
export { mqtt, type MqttOptions, type MqttTopics } from './triggers/mqtt/mqtt.ts'
export {
  kafka,
  type KafkaTriggerOptions,
  type KafkaTopic,
  type KafkaTopicRecord,
  type KafkaTopics,
  type MappedRecord,
  type RecordFormat,
  type RecordType,
} from './triggers/kafka/kafka.ts'
export type { CloudEventAttributes } from './kafka/cloud-events.ts'
export type { KafkaConnectionOptions } from './kafka/connection.ts'
export type { SchemaDraft, SchemaRegistryOptions } from './kafka/registry/registry.ts'
export type { SmtpAuth } from './triggers/email/auth.ts'
export type { Relay } from './triggers/email/authentication-results.ts'
export { smtp, type SmtpOptions } from './triggers/email/smtp.ts'
export type { SmtpTls } from './triggers/email/tls.ts'
export type { RunningTrigger, Trigger } from './triggers/trigger.ts'
export { webhook, type WebhookOptions } from './triggers/webhook/webhook.ts'
export type { WebhookEndpoint, WebhookRequest, WebhookScheme } from './triggers/webhook/endpoint.ts'
export type { GraphEdge, Graph, GraphNode, NodeState } from './workflows/graph.ts'
export { instanceGraph } from './workflows/program.ts'
export type { StepFailure } from './workflows/options.ts'
export { absent, all, any, count, on, seq, type On, type EventPattern } from './workflows/patterns.ts'
export {
  above,
  atLeast,
  atMost,
  below,
  both,
  either,
  exists,
  includes,
  is,
  not,
  text,
  type Ref,
  type Test,
} from './workflows/refs.ts'
export { by, type Key } from './workflows/key.ts'
export { workflow, Workflow } from './workflows/workflow.ts'

import type { Span } from '@opentelemetry/api'
import { type ErrorCode, failureData } from '../../errors.ts'
import type { CloudEvent } from '../../event.ts'
import { eventFields, log } from './log.ts'
import { metrics } from './metrics.ts'
import { attribute } from './names.ts'
import type { Redactor } from '../redact.ts'
import type { Histogram } from './registry.ts'
import { modelSpan, stepSpan, toolSpan } from './spans.ts'
import { inSpan, type SpanDraft } from './tracing.ts'

/** One run of a tool, a step or a model. */
interface Run {
  name: string
  /** Its name in metrics. Default: `name`. */
  label?: string
  event: CloudEvent
  attempt: number
  delivery: Span | undefined
  redactor: Redactor
}

/** Runs a tool and records its duration and failure. */
export function traceTool<T>(run: Run, work: (span?: Span) => Promise<T>): Promise<T> {
  return measure('tool', run, () => toolSpan(run.name, run.event, run.delivery), metrics.toolTime, 'E_TOOL_THREW', work)
}

/** Runs an inline step of an agent and records its duration and failure. */
export function traceStep<T>(run: Omit<Run, 'delivery'> & { label: string }, work: () => Promise<T>): Promise<T> {
  return measure('step', run, () => stepSpan(run.name, run.event), metrics.stepTime, 'E_TOOL_THREW', work)
}

/** What a model reported about a step. Usage in tokens. */
interface StepUsage {
  readonly finish: string
  readonly usage: { readonly input: number; readonly output: number; readonly cached?: number }
  readonly cost?: number
}

/** Calls a model and records its duration, usage and failure. */
export function traceModel<T extends StepUsage>(run: Run, provider: string, work: () => Promise<T>): Promise<T> {
  const draft = () => modelSpan(run.name, provider, run.event, run.delivery)
  return measure('model', run, draft, metrics.modelTime, 'E_MODEL_FAILED', async span => {
    const result = await work()
    const { usage, cost, finish } = result
    metrics.tokens.add(usage.input, run.name, 'input')
    metrics.tokens.add(usage.output, run.name, 'output')
    if (usage.cached) metrics.tokens.add(usage.cached, run.name, 'cached')
    if (cost) metrics.cost.add(cost, run.name)
    span?.setAttributes({
      [attribute.responseModel]: run.name,
      [attribute.finishReasons]: [finish],
      [attribute.inputTokens]: usage.input,
      [attribute.outputTokens]: usage.output,
      ...(usage.cached !== undefined && { [attribute.cachedTokens]: usage.cached }),
      ...(cost !== undefined && { [attribute.cost]: cost }),
    })
    return result
  })
}

async function measure<T>(
  kind: 'tool' | 'step' | 'model',
  { name, label = name, event, attempt, redactor }: Omit<Run, 'delivery'>,
  draft: () => SpanDraft,
  time: Histogram,
  code: ErrorCode,
  work: (span?: Span) => Promise<T>,
): Promise<T> {
  const began = performance.now()
  let error = 'none'
  try {
    return await inSpan(redactor, draft, work, code)
  } catch (thrown) {
    const { code: found, message, stack } = failureData(thrown, code)
    // User code may set any text as a code.
    error = redactor.text(found)
    log.warn?.(
      {
        ...eventFields(event),
        [kind]: name,
        attempt,
        code: error,
        reason: redactor.text(message),
        ...(stack !== undefined && { stack: redactor.text(stack) }),
      },
      `${kind} failed`,
    )
    throw thrown
  } finally {
    time.record((performance.now() - began) / 1_000, label, error)
  }
}

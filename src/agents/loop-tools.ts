import { failure, type ErrorData } from '../errors.ts'
import { invalidAt } from '../options.ts'
import { assertName } from '../pattern.ts'
import { jsonSchema, validateNow, type JsonSchema, type Schema } from '../schema.ts'
import { inField, modelToolName, textInput } from '../tasks/offered-input.ts'
import type { CallRequest } from '../tasks/program.ts'
import { requestType, type Callable } from '../tasks/script-context.ts'

/*
 * What a model agent offers its model as tools. A tool, an agent and a workflow are called, and the model gets the answer. A hand-over
 * gives the conversation to another agent, whose answer is then that of the task.
 */

/** A tool as the loop needs it. `tool()` returns one. */
export interface LoopTool extends Callable<never, unknown> {
  readonly kind: 'tool'
  readonly options: {
    readonly description: string
    readonly input: Schema
    readonly readOnly?: boolean
    readonly atMostOnce?: boolean
  }
}

/** An agent or a workflow as the loop needs it. `agent()` and `workflow()` return one. */
export interface LoopProgram extends Callable<never, unknown> {
  readonly kind: 'agent' | 'workflow'
  readonly description?: string | undefined
  readonly input?: Schema | undefined
}

/** What `handover()` returns. Pass it to the `tools` of a model agent. */
export interface Handover {
  readonly kind: 'handover'
  /** The name of the tool that the model calls. */
  readonly name: string
  readonly to: LoopProgram
}

/** What the `tools` of a model agent may contain. */
export type ModelTool = LoopTool | LoopProgram | Handover

/** A model agent that is defined later, or in another app: its name, and what the model that may hand over reads about it. */
export interface NamedAgent {
  readonly kind?: undefined
  readonly name: string
  readonly description: string
}

/**
 * Lets a model hand the conversation over to another model agent. That agent gets the conversation so far, answers with its own
 * instructions and tools, and its answer is the answer of the task. Two agents that hand over to each other cannot both be defined first:
 * one names the other.
 * @throws E_APP_INVALID if the other agent is not a model agent
 * @example
 * const billing = agent('billing', {
 *   model,
 *   description: 'Answers questions about invoices.',
 *   instructions: '…',
 *   tools: [handover({ name: 'desk', description: 'Answers everything else.' })],
 * })
 * const desk = agent('desk', { model, instructions: 'Answer, or hand over.', tools: [search, handover(billing)] })
 */
export function handover(
  to: (LoopProgram & { readonly kind: 'agent'; readonly needs?: unknown }) | NamedAgent,
): Handover {
  const name = to?.name
  if (to?.kind === undefined) {
    if (typeof name !== 'string' || !to.description)
      throw invalidAt(
        'handover()',
        'it takes an agent with a model; for one that is defined later, { name, description }',
      )
    assertName(name, 'an agent name')
    return { kind: 'handover', name: `transfer_to_${name}`, to: { ...to, kind: 'agent' } }
  }
  if (to.kind !== 'agent' || to.needs === undefined)
    throw invalidAt(
      'handover()',
      `only an agent with a model can continue a conversation, and "${name}" is none; put it into \`tools\` without handover()`,
    )
  return { kind: 'handover', name: `transfer_to_${name}`, to }
}

/** A tool as the model sees it, and the request that a call of it makes. */
export interface OfferedTool {
  /** Providers accept letters, digits, _ and - only. */
  readonly name: string
  readonly target: string
  readonly description: string
  readonly input: JsonSchema
  /** The request of a call, or why it cannot be made. Absent for the final answer and for a hand-over. */
  request?(input: unknown, toolCallId: string): Omit<CallRequest, 'within'> | { readonly error: ErrorData }
  /** The final answer in the input of a call, or why it is none. */
  answer?(input: unknown): { value: unknown } | { problem: string }
}

/** The tools of an agent as its model sees them. `answer`: its output schema, if the model answers by a call. @throws E_APP_INVALID */
export function offeredTools(tools: readonly ModelTool[], agent: string, answer?: Schema): OfferedTool[] {
  for (const [spokenName, [one, other]] of Map.groupBy(tools, tool => modelToolName(tool.name)))
    if (other)
      throw invalidAt(
        agent,
        other.name === one!.name
          ? `it has the tool "${other.name}" twice`
          : `the tools "${one!.name}" and "${other.name}" are both "${spokenName}" for a model. Rename one of them`,
      )
  const offered = tools.map(tool => {
    if (tool.kind === 'tool') return offeredTool(tool, agent)
    return tool.kind === 'handover' ? offeredHandover(tool, agent) : offeredProgram(tool, agent)
  })
  if (answer && offered.some(({ name }) => name === answerTool))
    throw invalidAt(
      agent,
      `with outputMode "tool", the tool "${answerTool}" is its answer. Rename the tool of this name`,
    )
  return answer ? [...offered, offeredAnswer(answer, agent)] : offered
}

/** By a call of this tool a model gives its answer, if its provider cannot be told a schema otherwise. */
export const answerTool = 'final_answer'

function offeredAnswer(output: Schema, agent: string): OfferedTool {
  const schema = jsonSchema(output, `the output of ${agent}`)
  const isObject = schema.type === 'object'
  return {
    name: answerTool,
    target: answerTool,
    description: 'Gives the final answer. Call it alone, when you need no other tool any more.',
    input: isObject ? schema : inField(schema),
    answer: given => validateNow(output, isObject ? given : (given as { input?: unknown } | null)?.input),
  }
}

function offeredTool({ name, options }: LoopTool, agent: string): OfferedTool {
  return {
    name: modelToolName(name),
    target: name,
    description: options.description,
    input: jsonSchema(options.input, `tool "${name}" of ${agent}`),
    request: (input, toolCallId) => ({ type: 'tool.invoke', target: name, data: { input, toolCallId } }),
  }
}

/** Providers require an object, so any other input is the field `input` of one. */
function offeredProgram({ kind, name, description, input }: LoopProgram, agent: string): OfferedTool {
  if (kind === 'workflow' && !input)
    throw invalidAt(agent, `its tool "${name}" is a workflow that events start: give it an input schema`)
  const schema = input ? jsonSchema(input, `${kind} "${name}", a tool of ${agent}`) : textInput
  const isObject = schema.type === 'object'
  return {
    name: modelToolName(name),
    target: name,
    description: descriptionOf({ kind, name, description }, agent),
    input: isObject ? schema : inField(schema),
    request(given, toolCallId) {
      const field = (given as { input?: unknown } | null | undefined)?.input
      if (!isObject && field === undefined)
        return { error: failure('E_TOOL_INPUT', `${name}: the field "input" is missing`) }
      return {
        type: requestType(kind),
        target: name,
        data: { input: isObject ? given : field, toolCallId },
      }
    },
  }
}

function offeredHandover({ name, to }: Handover, agent: string): OfferedTool {
  return {
    name: modelToolName(name),
    target: to.name,
    description: `Hands this conversation over to "${to.name}", which answers in your place: ${descriptionOf(to, agent)}`,
    input: { type: 'object', properties: {}, additionalProperties: false },
  }
}

function descriptionOf({ kind, name, description }: LoopProgram, agent: string): string {
  if (description) return description
  throw invalidAt(
    agent,
    `its tool "${name}" has no description, by which the model decides when to call it: set the option \`description\` of ${kind} "${name}"`,
  )
}

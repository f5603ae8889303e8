import type { CloudEvent } from '../event.ts'
import type { JsonSchema } from '../schema.ts'

/*
 * Tools that a user interface declares in its request, and runs itself:
 *
 *     agent.invoke { tools } ─▶ model.invoke { tools: the request } ─▶ tool.invoke to $ui ─▶ agent.tool.result ─▶ …
 *
 * A call waits like any other, for as long as the agent says, and the gateway publishes its answer. The answer has a type of its own, because
 * a gateway may not publish the results of tools.
 */

/** To whom calls of these tools are addressed. No tool can have this name. */
export const uiTarget = '$ui'
export const uiResultType = 'agent.tool.result'
export const uiFailedType = 'agent.tool.failed'

/** An answer that counts only for calls of these tools. Who may publish it may not answer others. */
export const isUiAnswer = ({ type }: Pick<CloudEvent, 'type'>): boolean =>
  type === uiResultType || type === uiFailedType

/** A tool of a user interface, as a model sees it. */
export interface UiTool {
  /** Letters, digits, `_` and `-`. */
  readonly name: string
  readonly description: string
  readonly input: JsonSchema
}

/** The tools that the request of a task declares. Others may have written it, so what is not a tool is left out. */
export function uiToolsIn({ type, data }: Pick<CloudEvent, 'type' | 'data'>): readonly UiTool[] {
  const { tools } = (type === 'agent.invoke' ? (data ?? {}) : {}) as { tools?: unknown }
  return Array.isArray(tools) ? tools.filter(isUiTool) : []
}

export const isUiToolName = (name: string): boolean => /^[\w-]{1,64}$/.test(name)

function isUiTool(value: unknown): value is UiTool {
  const { name, description, input } = (value ?? {}) as Partial<Record<keyof UiTool, unknown>>
  return (
    typeof name === 'string' &&
    isUiToolName(name) &&
    typeof description === 'string' &&
    typeof input === 'object' &&
    input !== null
  )
}

/** The name of the tool that a call of the user interface is for. */
export const uiToolName = ({ data }: Pick<CloudEvent, 'data'>): string =>
  String((data as { toolName?: unknown } | null)?.toolName)

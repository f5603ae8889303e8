import { jsonOf, type Json } from '../json.ts'
import { validatedValue } from '../schema.ts'
import type { AnyTool, ToolContext } from './tool.ts'

/**
 * Runs a tool and copies its output at once, because the tool may keep and change the object.
 * @throws E_TOOL_OUTPUT, and what the tool throws
 */
export async function runTool({ name, options }: AnyTool, input: unknown, context: ToolContext): Promise<Json> {
  const running = options.run(input, context)
  const returned = isPromise(running) ? await running : running
  const take = (output: unknown) => jsonOf(output, `"${name}" returned a value that is not JSON`, 'E_TOOL_OUTPUT')
  if (!options.output) return take(returned)
  const checking = options.output['~standard'].validate(returned)
  return take(validatedValue(checking instanceof Promise ? await checking : checking, 'E_TOOL_OUTPUT', name))
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

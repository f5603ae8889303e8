import { jsonOf, type Json } from '../json.ts'
import { validatedValue } from '../schema.ts'
import type { AnyTool, ToolContext } from './tool.ts'

/**
 * Runs a tool, and takes what it returns at that moment: it may keep the object, and change it in the next call.
 * @throws E_TOOL_OUTPUT, and what the tool throws
 */
export async function runTool({ name, options }: AnyTool, input: unknown, context: ToolContext): Promise<Json> {
  const running = options.run(input, context)
  const returned = isPromise(running) ? await running : running
  const take = (output: unknown) => jsonOf(output, `${name} returned what is not JSON`, 'E_TOOL_OUTPUT')
  if (!options.output) return take(returned)
  const checking = options.output['~standard'].validate(returned)
  return take(validatedValue(checking instanceof Promise ? await checking : checking, 'E_TOOL_OUTPUT', name))
}

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

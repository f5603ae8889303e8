import { jsonOf, type Json } from '../json.ts'
import { validate } from '../schema.ts'
import type { AnyTool, ToolContext } from './tool.ts'

/** Runs a tool, and takes what it returns at that moment. @throws E_TOOL_OUTPUT, and what the tool throws */
export async function runAndTake({ name, options }: AnyTool, input: unknown, context: ToolContext): Promise<Json> {
  const returned = await options.run(input, context)
  const output = options.output ? await validate(options.output, returned, 'E_TOOL_OUTPUT', name) : returned
  return jsonOf(output, `${name} returned what is not JSON`, 'E_TOOL_OUTPUT')
}

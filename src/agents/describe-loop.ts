import { jsonSchema } from '../schema.ts'
import { definitionKey, type ModelDefinition } from '../tasks/conversation.ts'
import { settingsIn, type ModelSettings } from '../tasks/model-settings.ts'
import { digest } from '../tasks/turn.ts'
import type { LoopOptions } from './model-loop.ts'

interface DescribedLoop extends Pick<LoopOptions, 'tools' | 'output' | 'parallelTools'> {
  instructions: string
  cache?: boolean
  /** Those of the model and of the agent. */
  settings: readonly ModelSettings[]
}

// Models of these providers then make one call at a time, where they can.
const oneByOne: ModelSettings = {
  providerOptions: { openai: { parallelToolCalls: false }, anthropic: { disableParallelToolUse: true } },
}

/** The document that an agent's requests refer to, and its key. */
export function describeLoop(options: DescribedLoop, agent: string) {
  const { instructions, tools, output, parallelTools = true, cache } = options
  // OpenAI rejects the option without tools.
  const settings = settingsIn(...(parallelTools || tools.length === 0 ? [] : [oneByOne]), ...options.settings)
  const document: ModelDefinition = {
    instructions,
    tools: tools.map(({ name, description, input }) => ({ name, description, input })),
    ...(output && !tools.some(tool => tool.answer) && { output: jsonSchema(output, `the output of ${agent}`) }),
    ...(settings && { settings }),
    ...(cache && { cache }),
  }
  return { document, key: definitionKey(digest(document)) }
}

import { milliseconds } from '../tasks/duration.ts'
import type { DeclaredApp } from '../tasks/declared-apps.ts'
import { modelName } from '../tasks/conversation.ts'
import { jsonSchema, type JsonSchema, type Schema } from '../schema.ts'
import { eventTypes } from '../workflows/definition-tree.ts'
import type { App } from './app.ts'

/** What an app declares, for people and forms. A schema that has no JSON form is left out. */
export function declarationOf(app: App): DeclaredApp {
  const { name, retention, budget, agents, workflows, tools, models, events, published } = app
  return {
    app: name,
    retention: milliseconds(retention),
    budget: Object.fromEntries(Object.entries(budget).filter(([, limit]) => Number.isFinite(limit))),
    agents: agents.map(({ name, description, input, definition, needs }) => ({
      ...programOf(definition),
      ...(description !== undefined && { description }),
      ...schemaAs('input', input, name),
      ...(needs && {
        ...(needs.document.output && { output: needs.document.output }),
        model: modelName(needs.model),
        tools: needs.tools.map(tool => (tool.kind === 'handover' ? tool.to.name : tool.name)),
      }),
    })),
    workflows: workflows.map(({ name, description, input, data, definition }) => ({
      ...programOf(definition),
      // Its program subscribes to the events of all steps, by a definition that the log holds.
      on: data.callable ? [] : eventTypes(data.steps.slice(0, 1)),
      callable: data.callable,
      ...(description !== undefined && { description }),
      ...schemaAs('input', input, name),
    })),
    tools: tools.map(({ name, options }) => {
      const { description, input, output, readOnly = false, atMostOnce = false, approval } = options
      const about = { name, description, readOnly, atMostOnce, approval: approval !== undefined }
      return { ...about, ...schemaAs('input', input, name), ...schemaAs('output', output, name) }
    }),
    models: models.map(({ name }) => ({ name })),
    types: events.map(({ type, schema }) => ({ type, ...schemaAs('schema', schema, type) })),
    ...(published.length > 0 && { published }),
  }
}

const programOf = ({ name, version, hash, on }: App['programs'][number]) => ({ name, version, hash, on })

function schemaAs<K extends string>(key: K, schema: Schema | undefined, what: string): { [P in K]?: JsonSchema } {
  if (!schema) return {}
  try {
    return { [key]: jsonSchema(schema, what) } as { [P in K]: JsonSchema }
  } catch {
    return {}
  }
}

import { matchesType } from '../../../../src/pattern.ts'
import type { Info, JsonSchema } from '../../api/shapes.ts'
import { capitalized, spaced } from './words.ts'

/** What a person can ask: an event that starts something, or an agent. */
export interface Target {
  /** `event/TYPE` or `agent/NAME`. */
  readonly key: string
  readonly kind: 'event' | 'agent'
  readonly name: string
  readonly title: string
  readonly description?: string
  readonly schema?: JsonSchema
  /** The field of the schema that is one text, where nothing else is needed. */
  readonly textField?: string
  /** Texts to begin with. */
  readonly examples: readonly string[]
}

/** Event types with a schema that start an agent or workflow, then agents; first what takes one text. */
export function targetsIn({ types, agents, workflows, principal }: Info): Target[] {
  if (!principal.rights.publish) return []
  const starts = [...agents, ...workflows].flatMap(({ on = [] }) => on)
  const events = types.filter(({ type, schema }) => schema && starts.some(pattern => matchesType(pattern, type)))
  const targets = [
    ...events.map(({ type, schema }) => targetOf('event', type, schema, text(schema?.description))),
    // The others are there for events.
    ...agents
      .filter(({ on = [] }) => on.length === 0)
      .map(({ name, description, input }) => targetOf('agent', name, input, description)),
  ]
  return targets.toSorted((a, b) => Number(takesText(b)) - Number(takesText(a)))
}

function targetOf(
  kind: Target['kind'],
  name: string,
  schema: JsonSchema | undefined,
  description: string | undefined,
): Target {
  const textField = textFieldOf(schema)
  const fields = (schema?.properties ?? {}) as Readonly<Record<string, JsonSchema>>
  const field = textField === undefined ? schema : fields[textField]
  return {
    key: `${kind}/${name}`,
    kind,
    name,
    title: text(schema?.title) ?? capitalized(spaced(name)),
    ...(description !== undefined && { description }),
    ...(schema && { schema }),
    ...(textField !== undefined && { textField }),
    examples: Array.isArray(field?.examples) ? field.examples.filter(each => typeof each === 'string') : [],
  }
}

function textFieldOf(schema: JsonSchema | undefined): string | undefined {
  if (schema?.type !== 'object') return undefined
  const required = (schema.required ?? []) as readonly string[]
  const properties = (schema.properties ?? {}) as Readonly<Record<string, JsonSchema>>
  const [field] = required
  return required.length === 1 && properties[field!]?.type === 'string' ? field : undefined
}

/** Whether one text is all that the target takes. */
export const takesText = ({ schema, textField }: Target): boolean =>
  textField !== undefined || schema === undefined || schema.type === 'string'

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

import type { JsonSchema } from '../../schema.ts'
import { mayCall } from './caller.ts'
import type { Publishing } from './mcp-server.ts'

const maxValues = 100

/** A field of an input, and the texts that it may have. */
interface Choices {
  readonly name: string
  readonly description?: string | undefined
  readonly isRequired: boolean
  /** Absent: any text. */
  readonly values?: readonly string[]
}

/** The fields of the schema of an object. */
export function choicesFor({ properties = {}, required = [] }: JsonSchema): Choices[] {
  const needed = required as readonly string[]
  return Object.entries(properties as Record<string, JsonSchema>).map(([name, { description, enum: values }]) => ({
    name,
    description: description as string | undefined,
    isRequired: needed.includes(name),
    ...(Array.isArray(values) && { values: values.map(String) }),
  }))
}

interface CompletionParams {
  readonly ref: { readonly type: string; readonly name?: string | undefined; readonly uri?: string | undefined }
  readonly argument: { readonly name: string; readonly value: string }
}

/** `completion/complete`: the choices that an app declares, those that begin as typed. Nothing else is suggested. */
export const complete =
  ({ deps: { catalog }, scope: { caller } }: Publishing) =>
  async ({ ref, argument }: CompletionParams) => {
    const values = mayCall(caller) ? await valuesOf() : []
    const typed = argument.value.toLowerCase()
    const found = values.filter(value => value.toLowerCase().startsWith(typed))
    return { completion: { values: found.slice(0, maxValues), total: found.length, hasMore: found.length > maxValues } }

    async function valuesOf(): Promise<readonly string[]> {
      if (ref.type === 'ref/prompt') {
        const { input } = await catalog.findPrompt(ref.name ?? '')
        return choicesFor(input).find(({ name }) => name === argument.name)?.values ?? []
      }
      const resource = (await catalog.resources()).find(({ uri }) => uri === ref.uri)
      return resource?.complete?.[argument.name] ?? []
    }
  }

import { aFunction, aText, checkOptions, invalidAt, type Check } from '../../options.ts'
import { assertName } from '../../pattern.ts'
import type { ScriptContext } from '../../tasks/script-context.ts'
import { templateVariables } from './uri-template.ts'

type NameIn<Uri extends string> = Uri extends `${string}{${infer Name}}${infer Rest}` ? Name | NameIn<Rest> : never

/** The values of the variables of an address, by name. */
export type ResourceVariables<Uri extends string = string> = Readonly<Record<NameIn<Uri>, string>>

/** Where a resource is, and what it contains. */
export interface ResourceOptions<Uri extends string = string> {
  /** Its address, or a template for the addresses of many: `shop://orders/{order}`. A variable stands for a part without a slash. */
  uri: Uri
  /** For people. Default: the name. */
  title?: string
  description?: string
  /** Of a text. Default `text/plain`; `application/json` for other JSON. */
  mediaType?: string
  /** Choices for variables of a template, which clients complete. */
  complete?: Readonly<Record<string, readonly string[]>>
  /**
   * Reads it: a text, parts with files, the `contents` of MCP, or other JSON. It is straight-line code of an agent, which may call tools.
   * Undefined: there is nothing under this address.
   */
  run(ctx: ScriptContext, variables: ResourceVariables<Uri>): unknown
}

/** What `resource()` returns. Pass it to the `mcp` of an app. */
export interface Resource {
  readonly kind: 'resource'
  readonly name: string
  readonly options: ResourceOptions
}

const checks = {
  uri: aText,
  title: aText,
  description: aText,
  mediaType: aText,
  complete: value => (Object.values(value ?? {}).every(Array.isArray) ? undefined : 'must have lists of texts'),
  run: aFunction,
} satisfies Record<keyof ResourceOptions, Check>

/**
 * Declares what MCP clients can read: one resource, or with a template as many as there are addresses. Each reading is a task.
 * @throws E_APP_INVALID
 * @example
 * const results = resource('results', { uri: 'shop://search/{query}', run: (ctx, { query }) => ctx.call(search, { query }) })
 * export default app({ use: [search], mcp: [results] })
 */
export function resource<Uri extends string>(name: string, options: ResourceOptions<Uri>): Resource {
  assertName(name, 'the name of a resource')
  checkOptions(`resource "${name}"`, options, checks, ['uri', 'run'])
  const { uri, complete = {} } = options
  if (!URL.canParse(uri.replaceAll(/[{}]/g, '')))
    throw invalidAt(`resource "${name}"`, `"${uri}" is not an address such as shop://menu`)
  const variables = templateVariables(uri)
  const unknown = Object.keys(complete).find(each => !variables.includes(each))
  if (unknown !== undefined) throw invalidAt(`resource "${name}"`, `"${uri}" has no variable "${unknown}"`)
  return { kind: 'resource', name, options }
}

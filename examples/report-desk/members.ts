import type { AppMember, ModelLike } from '../../src/index.ts'
import { agents } from './agents.ts'
import type { Library } from './library/library.ts'
import { publication } from './publication.ts'
import { questionAsked } from './question.ts'
import { tools } from './tools.ts'
import { workflows } from './workflows.ts'

/** What the desk consists of, and what it publishes. Reports go to the folder. */
export function members(library: Library, reports: string, model: ModelLike & { readonly modelId: string }) {
  const kit = tools(library, reports, model.modelId)
  const staff = agents(kit, model)
  const flows = Object.values(workflows(kit, staff))
  const use: AppMember[] = [questionAsked, ...flows, ...Object.values(staff), ...Object.values(kit)]
  return { use, mcp: publication(kit, staff) }
}

import type { AppMember, ModelLike } from '../../src/index.ts'
import { agents } from './agents.ts'
import type { Library } from './library/library.ts'
import { questionAsked } from './question.ts'
import { tools } from './tools.ts'
import { workflows } from './workflows.ts'

/** What the desk consists of, for the `use` of an app. Reports go to the folder. */
export function members(
  library: Library,
  reports: string,
  model: ModelLike & { readonly modelId: string },
): AppMember[] {
  const kit = tools(library, reports, model.modelId)
  const staff = agents(kit, model)
  return [questionAsked, ...Object.values(workflows(kit, staff)), ...Object.values(staff), ...Object.values(kit)]
}

import { join, resolve } from 'node:path'
import { app, modelFromEnvironment, smtp } from '../../src/index.ts'
import { agents } from './agents.ts'
import { Library } from './library/library.ts'
import { tools } from './tools.ts'

/** A worker may be the first one here: it then indexes what `npm start` would. */
const home = resolve(process.env.TIDINGS_HOME || '.tidings')
const library = new Library(join(home, 'library.sqlite'))
if (!library.root) await library.refresh(join(import.meta.dirname, '../..'))

const model = await modelFromEnvironment()
const kit = tools(library, join(home, 'reports'), model.modelId)

export default app({ name: 'report-desk', use: [...agents(kit, model), ...Object.values(kit), smtp()] })

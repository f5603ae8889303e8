import { join, resolve } from 'node:path'
import { app, modelFromEnvironment, smtp } from '../../src/index.ts'
import { Library } from './library/library.ts'
import { members } from './members.ts'

/** The first worker on a machine indexes the documents that `npm start` would. */
const home = resolve(process.env.TIDINGS_HOME || '.tidings')
const library = new Library(join(home, 'library.sqlite'))
if (!library.root) await library.refresh(join(import.meta.dirname, '../..'), { isPackage: true })

const model = await modelFromEnvironment()

const { use, mcp } = members(library, join(home, 'reports'), model)

export default app({ name: 'report-desk', use: [...use, smtp()], mcp })

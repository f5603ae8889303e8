import { join, resolve } from 'node:path'
import { app, modelFromEnvironment, smtp } from '../../src/index.ts'
import { Library } from './library/library.ts'
import { members } from './members.ts'

/** A worker may be the first one here: it then indexes what `npm start` would. */
const home = resolve(process.env.TIDINGS_HOME || '.tidings')
const library = new Library(join(home, 'library.sqlite'))
if (!library.root) await library.refresh(join(import.meta.dirname, '../..'), { isPackage: true })

const model = await modelFromEnvironment()

export default app({ name: 'report-desk', use: [...members(library, join(home, 'reports'), model), smtp()] })

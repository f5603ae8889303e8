import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { driverConformance } from '../../testing/conformance/index.ts'
import { openSqlite } from './index.ts'

driverConformance('sqlite', {
  async fresh() {
    const home = await mkdtemp(join(tmpdir(), 'tidings-sqlite-'))
    return { open: clock => openSqlite({ home, clock }), remove: () => rm(home, { recursive: true }) }
  },
})

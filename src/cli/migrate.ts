import { styleText } from 'node:util'
import type { Bus } from '../bus/bus.ts'
import { correlationOf } from '../bus/ids.ts'
import { errorData } from '../errors.ts'
import type { App } from '../runtime/app.ts'
import { publishWorkflows } from '../tasks/definitions.ts'
import { migrateType } from '../tasks/instances.ts'
import { dim } from '../trace/paint.ts'
import { countText } from '../trace/text.ts'
import type { Definition } from '../workflows/definition.ts'
import { readInstance } from '../workflows/program.ts'
import { migrationProblem } from '../workflows/migrate.ts'
import { findApp, loadApp } from './load-app.ts'
import { queryIndex, resolveTask, withExistingLog } from './log.ts'
import { printResult, type GlobalOptions } from './output.ts'
import { findWorkflow } from './workflow.ts'

interface Options extends GlobalOptions {
  app?: string
  task?: string
  dryRun?: boolean
}

export async function migrateCommand(name: string, options: Options): Promise<void> {
  const { app } = await loadApp(findApp(options.app))
  const { data: to, definition } = findWorkflow(app, name)
  const counts = { moved: 0, refused: 0 }
  await withExistingLog(async bus => {
    // Workers that load a moved instance read the definition from the log.
    if (!options.dryRun) await publishWorkflows(bus, [definition])
    for (const task of await findInstances(bus, name, definition.hash, options.task)) {
      const why = await refusalFor(bus, app, task, to)
      counts[why === undefined ? 'moved' : 'refused']++
      if (why === undefined && !options.dryRun)
        await bus.publish({
          type: migrateType,
          source: '/cli',
          target: name,
          subject: task,
          correlationid: correlationOf(task),
          data: { definition: to },
        })
      const mark = why === undefined ? styleText('green', '✔') : styleText('red', '✖')
      await printResult(options, { task, ...(why !== undefined && { refused: why }) }, [
        `${mark} ${task}${why === undefined ? '' : ` ${why}`}`,
      ])
    }
  })
  const action = `${options.dryRun ? 'can be moved' : 'asked to move'} to version ${to.version}`
  await printResult(options, { workflow: name, version: to.version, ...counts }, [
    `${countText(counts.moved, 'instance')} ${action}${counts.refused > 0 ? `, ${counts.refused} keep their definition` : ''}`,
    ...(counts.moved > 0 && !options.dryRun
      ? [dim('each emits workflow.migrated or workflow.migration.refused in its next turn')]
      : []),
  ])
}

/** Running instances with another definition. */
async function findInstances(bus: Bus, program: string, hash: string, only: string | undefined): Promise<string[]> {
  if (only !== undefined) return [await resolveTask(bus, only, program)]
  const found = await queryIndex(bus, index => index.tasks({ program, limit: 1_000_000 }))
  return found
    .filter(({ state, hash: of }) => (state === 'waiting' || state === 'running') && of !== hash)
    .map(({ task }) => task)
}

async function refusalFor(bus: Bus, app: App, task: string, to: Definition): Promise<string | undefined> {
  try {
    const { definition, state } = await readInstance(bus, app.programs, task)
    return migrationProblem(definition, state, to)
  } catch (error) {
    return errorData(error, 'E_INTERNAL').message
  }
}

import { styleText } from 'node:util'
import { TidingsError } from '../errors.ts'
import type { AnyWorkflow, App } from '../runtime/app.ts'
import { dim } from '../trace/paint.ts'
import { countText, printable } from '../trace/text.ts'
import { toGraph } from '../workflows/graph.ts'
import { instanceGraph } from '../workflows/program.ts'
import { mermaid } from '../workflows/mermaid.ts'
import { eventTypes } from '../workflows/definition-tree.ts'
import { findApp, loadApp } from './load-app.ts'
import { queryIndex, resolveTask, withExistingLog, withLog } from './log.ts'
import { printResult, print, type GlobalOptions } from './output.ts'

interface Options extends GlobalOptions {
  app?: string
}

export async function workflowListCommand(file: string | undefined, options: GlobalOptions): Promise<void> {
  const { app } = await loadApp(findApp(file))
  await withLog(async bus => {
    const running = await queryIndex(bus, index => app.workflows.map(({ name }) => index.live(name)))
    for (const [i, { name, data }] of app.workflows.entries()) {
      const instances = running[i]!
      const types = eventTypes(data.steps)
      const record = { workflow: name, version: data.version, types, key: data.key ?? null, instances }
      const key = data.key ? 'for each key' : data.callable ? 'for each call' : 'for each correlation'
      await printResult(options, record, [
        `${styleText('bold', name)} v${data.version}  ${dim(`${countText(instances, 'instance')} running, one ${key}`)}`,
        ...(types.length > 0 ? [`  waits for ${types.join(', ')}`] : []),
      ])
    }
  })
  if (app.workflows.length === 0 && !options.json) await print('The app has no workflows.')
}

export async function workflowGraphCommand(name: string, options: Options & { task?: string }): Promise<void> {
  const { app } = await loadApp(findApp(options.app))
  const workflow = findWorkflow(app, name)
  const drawn =
    options.task === undefined
      ? toGraph(workflow.data)
      : await withExistingLog(async bus => {
          return instanceGraph(bus, app.programs, await resolveTask(bus, options.task!, name))
        })
  await print(options.json ? JSON.stringify(drawn) : mermaid(drawn))
}

/** @throws E_NOT_FOUND */
export function findWorkflow(app: App, name: string): AnyWorkflow {
  const newest = app.workflows.filter(each => each.name === name).sort((a, b) => b.data.version - a.data.version)[0]
  if (newest) return newest
  const names = app.workflows.map(each => each.name).join(', ')
  throw new TidingsError(
    'E_NOT_FOUND',
    `the app has no workflow "${printable(name)}"; its workflows: ${names || 'none'}`,
  )
}

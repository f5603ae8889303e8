import type { App } from '../runtime/app.ts'
import { isRuntimeType } from '../bus/admit.ts'
import { dim, tidings } from '../trace/paint.ts'
import { envWithoutFile } from './env-file.ts'

/** What a person may try on a running app, in a second terminal. */
export function firstCommands({ agents, programs, triggers }: App): string[] {
  // One that also starts on events takes their data, not a text.
  const model = agents.find(({ needs, definition }) => needs && definition.on.length === 0)
  const type = programs.flatMap(({ on }) => on).find(each => !isRuntimeType(each) && !/[*>]/.test(each))
  const received = new Set(triggers.flatMap(({ types }) => types))
  return [
    ...(model ? [`${tidings} ask ${model.name} 'Hello'`] : []),
    ...(type !== undefined && !received.has(type) ? [`${tidings} publish ${type} '{ … }'`] : []),
    ...triggers.slice(0, 1).map(({ name }) => `${tidings} trigger test ${name}`),
    `${tidings} trace last`,
  ]
}

/** Without them, the commands would use another log, or other ports. */
const shared = ['TIDINGS_HOME', 'TIDINGS_BUS', 'TIDINGS_SMTP_PORT', 'TIDINGS_WEBHOOK_PORT']

export function firstLines(commands: readonly string[]): string[] {
  const settings = shared.filter(name => envWithoutFile()[name] !== undefined)
  const same = settings.length > 0 ? `, with the same ${settings.join(', ')}` : ''
  return [dim(`try in a second terminal${same}:`), ...commands.map(command => `  ${command}`)]
}

import type { App } from '../runtime/app.ts'
import { isRuntimeType } from '../bus/admit.ts'
import { dim } from '../trace/text.ts'

/** What a person may try on a running app, in a second terminal. */
export function firstCommands({ agents, programs, triggers }: App): string[] {
  // One that also starts on events takes their data, not a text.
  const model = agents.find(({ needs, definition }) => needs && definition.on.length === 0)
  const type = programs.flatMap(({ on }) => on).find(each => !isRuntimeType(each) && !/[*>]/.test(each))
  const received = new Set(triggers.flatMap(({ types }) => types))
  return [
    ...(model ? [`npx tidings ask ${model.name} 'Hello'`] : []),
    ...(type !== undefined && !received.has(type) ? [`npx tidings publish ${type} '{ … }'`] : []),
    ...triggers.slice(0, 1).map(({ name }) => `npx tidings trigger test ${name}`),
    'npx tidings trace last',
  ]
}

export const firstLines = (commands: readonly string[]): string[] => [
  dim('try in a second terminal:'),
  ...commands.map(command => `  ${command}`),
]

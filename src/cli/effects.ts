import { readFileSync } from 'node:fs'
import { textOf, TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import {
  checkEffectPattern,
  parseEffects,
  resolveEffects,
  type Effectful,
  type ResolvedEffects,
} from '../replay/effects.ts'
import type { App } from '../runtime/app.ts'
import { provisionApp } from '../runtime/start.ts'
import { dim } from '../trace/text.ts'
import { findApp, loadApp } from './load-app.ts'
import { withExistingLog } from './log.ts'

/** Options for what a redrive or a fork may do. */
export interface EffectOptions {
  effects?: string
  stub?: string[]
  app?: string
}

/** Opens the log with the redaction rules of the app. @throws E_USAGE, E_APP_INVALID */
export async function withEffects<T>(
  options: EffectOptions,
  use: (bus: Bus, app: App, ruled: ResolvedEffects) => Promise<T>,
): Promise<T> {
  const stubs = readStubs(options.stub ?? [])
  const effects = parseEffects(options.effects ?? '')
  const { app } = await loadApp(findApp(options.app))
  const ruled = resolveEffects(effectTargets(app), { effects, stubs })
  return withExistingLog(bus => use(bus.withRedactor(app.redactor), app, ruled))
}

/** Creates the group of the app's agents, so that events published before its first worker starts are kept. */
export const provisionGroup = (bus: Bus, app: App) => provisionApp(app, bus)

/** Lines that show what each tool and model may do. */
export function effectLines({ effects }: ResolvedEffects): string[] {
  const width = Math.max(...Object.keys(effects).map(name => name.length))
  return Object.entries(effects).map(([name, effect]) => dim(`  ${name.padEnd(width)}  ${effect}`))
}

function effectTargets({ tools, models, agents }: App): Effectful[] {
  const known = new Map<string, Effectful>()
  const add = (
    { name, options }: { name: string; options: { readOnly?: boolean; atMostOnce?: boolean } },
    kind: Effectful['kind'],
  ) =>
    known.set(`${kind}/${name}`, {
      kind,
      name,
      readOnly: options.readOnly ?? false,
      atMostOnce: options.atMostOnce ?? false,
    })
  for (const { needs } of agents) for (const tool of needs?.tools ?? []) add(tool, 'tool')
  for (const tool of tools) add(tool, 'tool')
  for (const model of models) add(model, 'model')
  return [...known.values()]
}

/** `tool/NAME=FILE.json`: the answer to its calls. */
function readStubs(texts: readonly string[]): Map<string, unknown> {
  return new Map(
    texts.map(text => {
      const [, name, file] = /^(.+?)=(.+)$/.exec(text) ?? []
      if (name === undefined || name.includes('*'))
        throw new TidingsError('E_USAGE', `--stub "${text}" is not valid: expected NAME=FILE.json`)
      return [checkEffectPattern(name), readJsonFile(file!)]
    }),
  )
}

/** @throws E_USAGE */
export function readJsonFile(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (cause) {
    throw new TidingsError('E_USAGE', `"${file}" cannot be read as JSON: ${textOf(cause)}`, { cause })
  }
}

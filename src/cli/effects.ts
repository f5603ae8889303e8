import { readFileSync } from 'node:fs'
import { textOf, TidingsError } from '../errors.ts'
import type { Bus } from '../bus/bus.ts'
import { checkEffectPattern, parseEffects, resolveEffects, type ResolvedEffects } from '../replay/effects.ts'
import type { App } from '../runtime/app.ts'
import { effectTargets } from '../runtime/operations/rerun.ts'
import { dim } from '../trace/paint.ts'
import { findApp, loadApp } from './load-app.ts'
import { withExistingLog } from './log.ts'
import { usageError } from './output.ts'

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

/** Lines that show what each tool and model may do. */
export function effectLines({ effects }: ResolvedEffects): string[] {
  const width = Math.max(...Object.keys(effects).map(name => name.length))
  const lines = Object.entries(effects).map(([name, effect]) => dim(`  ${name.padEnd(width)}  ${effect}`))
  return ['its tools and models may do this:', ...lines]
}

/** `tool/NAME=FILE.json`: the answer to its calls. */
function readStubs(texts: readonly string[]): Map<string, unknown> {
  return new Map(
    texts.map(text => {
      const [, name, file] = /^(.+?)=(.+)$/.exec(text) ?? []
      if (name === undefined || name.includes('*'))
        throw usageError(`--stub "${text}" is not valid: expected NAME=FILE.json`)
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

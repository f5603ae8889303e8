import { execFile } from 'node:child_process'
import { copyFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { installLangGraph, installOpenAI } from './install.ts'

const run = promisify(execFile)

export const clientNames = ['langgraph', 'langgraph streaming', 'python', 'ai-sdk'] as const
export type ClientName = (typeof clientNames)[number]

/** The key that clients send. A log must not have it. */
const clientKey = `sk-proj-${'Tap7Secret'.repeat(5)}`

/** Runs a client, which knows of the tap only by the base URLs in its environment. Returns what it printed. */
export async function runClient(name: ClientName, base: string): Promise<string> {
  const { TIDINGS_HOME: _home, TIDINGS_BUS: _bus, ...inherited } = process.env
  const env = {
    ...inherited,
    OPENAI_API_KEY: clientKey,
    OPENAI_BASE_URL: `${base}/v1`,
    ANTHROPIC_API_KEY: clientKey.replace('proj', 'ant'),
    ANTHROPIC_BASE_URL: `${base}/v1`,
  }
  const [command, args] = await commandOf(name)
  const { stdout } = await run(command, args, { env, timeout: 120_000 })
  return stdout.trim()
}

async function commandOf(name: ClientName): Promise<[command: string, args: readonly string[]]> {
  const here = (file: string) => join(import.meta.dirname, file)
  switch (name) {
    case 'langgraph':
    case 'langgraph streaming': {
      // Modules are found from where the file is.
      const file = join(await installLangGraph(), 'langgraph.mjs')
      await copyFile(here('langgraph.mjs'), file)
      return [process.execPath, [file, ...name.split(' ').slice(1)]]
    }
    case 'python':
      return [await installOpenAI(), [here('client.py')]]
    case 'ai-sdk':
      return [process.execPath, [here('ai-sdk.ts')]]
  }
}

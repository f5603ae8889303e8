import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'

/* LangGraph.js and the Python package of OpenAI, installed once into the cache, so that nobody who installs Tidings gets them. */

const run = promisify(execFile)
const packages = { '@langchain/langgraph': '1.7.3', '@langchain/openai': '1.6.0', '@langchain/core': '1.4.0' }
const python = '3.57.0'
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidings')
const timeout = 600_000

/** A folder whose modules can import LangGraph. */
export async function installLangGraph(): Promise<string> {
  const folder = join(cache, `langgraph-${packages['@langchain/langgraph']}+${packages['@langchain/openai']}`)
  if (existsSync(folder)) return folder
  console.log(`installing LangGraph.js ${packages['@langchain/langgraph']} into ${folder}, once …`)
  await mkdir(cache, { recursive: true })
  const temporary = await mkdtemp(`${folder}-`)
  try {
    await writeFile(join(temporary, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
    const names = Object.entries(packages).map(([name, version]) => `${name}@${version}`)
    await run('npm', ['install', '--no-audit', '--no-fund', '--loglevel=error', '--save-exact', ...names], {
      cwd: temporary,
      timeout,
    })
    await rename(temporary, folder)
  } catch (error) {
    // Another process may have been faster.
    if (!existsSync(folder)) throw error
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
  return folder
}

/** A Python that can import `openai`. */
export async function installOpenAI(): Promise<string> {
  const folder = join(cache, `openai-python-${python}`)
  const command = join(folder, 'bin/python')
  if (existsSync(join(folder, 'installed'))) return command
  console.log(`installing openai ${python} for Python into ${folder}, once …`)
  await mkdir(dirname(folder), { recursive: true })
  // A virtual environment cannot be moved: an interrupted one is made again.
  await rm(folder, { recursive: true, force: true })
  await run('python3', ['-m', 'venv', folder])
  await run(join(folder, 'bin/pip'), ['install', '--quiet', `openai==${python}`], { timeout })
  await writeFile(join(folder, 'installed'), '')
  return command
}

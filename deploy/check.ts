/**
 * Checks the files of deploy/ with the programs of others: compose.yaml with the loader of docker compose (needs Go),
 * the manifests with the schemas of Kubernetes (needs Python). test/deploy.test.ts does what needs neither.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { parseEnv } from 'node:util'

const loaderVersion = 'v2.16.2'
const loader = `github.com/compose-spec/compose-go/v2/cmd@${loaderVersion}`
const validator = 'kubernetes-validate==1.37.0'
const kubernetes = ['1.32', '1.37']

const deploy = import.meta.dirname
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tidings', 'deploy-check')
const run = (command: string, ...args: string[]) => execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' })

function compose(): string {
  const binary = join(cache, loaderVersion, 'cmd')
  if (!existsSync(binary))
    execFileSync('go', ['install', loader], { env: { ...process.env, GOBIN: join(binary, '..') }, stdio: 'pipe' })
  // The loader's own command takes variables from nowhere; what is in env.example stands in for them.
  const values = parseEnv(readFileSync(join(deploy, 'env.example'), 'utf8'))
  const text = readFileSync(join(deploy, 'compose.yaml'), 'utf8').replace(
    /\$\{(\w+)(?::\?[^}]*)?\}/g,
    (_, name: string) => {
      if (values[name] === undefined) throw new Error(`${name} is not in env.example`)
      return values[name]
    },
  )
  const file = join(cache, 'compose.yaml')
  writeFileSync(file, text)
  const { services } = JSON.parse(run(binary, '-format', 'json', file)) as { services: object }
  return Object.keys(services).join(', ')
}

function manifests(): string {
  const python = join(cache, validator, 'bin', 'python')
  if (!existsSync(python)) {
    run('python3', '-m', 'venv', join(cache, validator))
    run(python, '-m', 'pip', 'install', '--quiet', validator)
  }
  const files = globSync('kubernetes/*.yaml', { cwd: deploy }).map(file => join(deploy, file))
  const told = kubernetes.map(version =>
    run(join(python, '..', 'kubernetes-validate'), '--strict', '-k', version, ...files),
  )
  return `${told.join('').match(/passed for resource/g)?.length} passes, against Kubernetes ${kubernetes.join(' and ')}`
}

for (const check of [compose, manifests])
  try {
    console.log(`ok    ${check.name}: ${check()}`)
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string }
    console.log(`FAIL  ${check.name}: ${stderr || message}`)
    process.exitCode = 1
  }

import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { commandsToTry, projectFiles, type TemplateName } from './init-files.ts'
import { installedFrom, isCheckout } from './init-source.ts'
import { printResult, usageError, type GlobalOptions } from './output.ts'

export interface InitOptions extends GlobalOptions {
  readonly template: TemplateName
}

export async function initCommand(folder: string | undefined, options: InitOptions): Promise<void> {
  const path = resolve(folder ?? '.')
  if (existsSync(path) && (await readdir(path)).length > 0)
    throw usageError(`"${path}" is not empty. Name a new folder: tidings init FOLDER`)
  await mkdir(path, { recursive: true })
  const { template } = options
  const source = installedFrom()
  const written = projectFiles(nameFor(path), template, source)
  for (const [name, content] of Object.entries(written)) {
    // A file with secrets is for its owner only.
    const mode = name === '.env' ? 0o600 : 0o644
    await writeFile(join(path, name), content, { flag: 'wx', mode })
  }
  await printResult(options, { folder: path, template, tidings: source, files: Object.keys(written) }, [
    `Created a project in ${path}, from the template "${template}". Next steps:`,
    '',
    ...(isCheckout ? [`  npm run build --prefix ${source.slice('file:'.length)}`] : []),
    ...(folder === undefined ? [] : [`  cd ${folder}`]),
    '  npm install',
    '  npx tidings dev',
    '',
    'In a second terminal:',
    '',
    ...commandsToTry(template)
      .trimEnd()
      .split('\n')
      .map(line => line.slice(2)),
  ])
}

// npm accepts lower-case names only.
const nameFor = (path: string) =>
  basename(path)
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '') || 'my-app'

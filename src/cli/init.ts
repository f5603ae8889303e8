import { existsSync } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { checkout, projectFiles } from './init-files.ts'
import { printResult, usageError, type GlobalOptions } from './output.ts'

/** `tidings init [FOLDER]` */
export async function initCommand(folder: string | undefined, options: GlobalOptions): Promise<void> {
  const path = resolve(folder ?? '.')
  if (existsSync(path) && (await readdir(path)).length > 0)
    throw usageError(`"${path}" is not empty. Name a new folder: tidings init FOLDER`)
  await mkdir(path, { recursive: true })
  const written = projectFiles(nameFor(path))
  for (const [name, content] of Object.entries(written)) await writeFile(join(path, name), content, { flag: 'wx' })
  await printResult(options, { folder: path, files: Object.keys(written) }, [
    `Created a project in ${path}. Next steps:`,
    '',
    ...(checkout === undefined ? [] : [`  npm run build --prefix ${checkout}`]),
    ...(folder === undefined ? [] : [`  cd ${folder}`]),
    '  npm install',
    '  npx tidings dev',
    '',
    'In a second terminal:',
    '',
    `  npx tidings publish question.asked '{"text":"When are you open on Sunday?"}'`,
    '  npx tidings trace last',
  ])
}

// npm accepts lower-case names only.
const nameFor = (path: string) =>
  basename(path)
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '') || 'my-app'

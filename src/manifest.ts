import { readFileSync } from 'node:fs'

interface Manifest {
  version: string
  dependencies: { zod: string }
  devDependencies: { '@types/node': string; typescript: string }
}

/** Of this package, from its own package.json: beside `src` and beside `dist`. */
export const manifest = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as Manifest

/*
 * Runs before `npm start` and `npm test`, on any Node from 20: plain JavaScript without dependencies. It runs `npm ci` if
 * node_modules is missing or older than package-lock.json, builds the console if its sources have changed, and nothing else.
 *
 * It never installs through a link: `npm ci` would empty the target folder, which other checkouts use.
 *
 * `--force`: npm compares the `engines` of packages with the Node that runs npm, warns, and omits native parts. That
 * comparison does not apply: the Node that this install brings (the npm package `node`) runs them, as the last lines check.
 */
import { spawnSync } from 'node:child_process'
import { lstatSync, readFileSync, readlinkSync, statSync } from 'node:fs'

const modified = file => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0

if (modified('node_modules/.package-lock.json') < modified('package-lock.json')) {
  if (lstatSync('node_modules', { throwIfNoEntry: false })?.isSymbolicLink()) {
    console.error(
      `node_modules is a link to "${readlinkSync('node_modules')}", which is older than package-lock.json. Nothing was installed, because`,
    )
    console.error('npm would empty that folder. Remove the link, or run `npm ci` where it leads to.')
    process.exit(1)
  }
  console.log('installing what package-lock.json lists, and the Node that runs it (ten to twenty seconds) …')
  const flags = ['--include=dev', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error', '--force']
  const { status } = spawnSync(process.execPath, [process.env.npm_execpath, 'ci', ...flags], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}

const { node: wanted } = JSON.parse(readFileSync('package.json', 'utf8')).devDependencies
const found = spawnSync('node', ['-p', 'process.versions.node'], { encoding: 'utf8' }).stdout?.trim()
if (found !== wanted) {
  console.error(
    `npm scripts would run on Node ${found}, not ${wanted}: the install script of the package "node" did not`,
  )
  console.error('run. Allow it with: npm rebuild node --ignore-scripts=false')
  process.exit(1)
}

const { status } = spawnSync('node', ['scripts/console.ts'], { stdio: 'inherit' })
if (status !== 0) console.error('the console could not be built; everything else works')

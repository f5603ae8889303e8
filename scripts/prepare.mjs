/*
 * npm runs this script after each `npm ci` and `npm install` in a checkout, and before it packs a Git dependency. Only then it builds: who
 * works in a checkout runs the sources.
 */
import { execSync } from 'node:child_process'

if (process.env._PACOTE_NO_PREPARE_ !== undefined)
  execSync('tsc -b tsconfig.src.json && node scripts/docs.ts', { stdio: ['ignore', 2, 2] })

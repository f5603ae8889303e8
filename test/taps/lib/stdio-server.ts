import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { sumsServer } from './sums.ts'

process.stderr.write('sums: listening\n')
serveStdio(sumsServer)

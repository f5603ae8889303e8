import { serveStdio } from '@modelcontextprotocol/server/stdio'
import { toolsServer } from './tools-server.ts'

/** `node stdio-server.ts FOLDER [DESCRIPTION]`: the tools server on standard input and output. */
const [, , folder, about] = process.argv
serveStdio(() => toolsServer({ folder: folder!, about }))

import { listen } from './http.ts'
import { httpTools, runTool } from './task.ts'
import { needed, serves } from './child.ts'

/* The tools of the chain that are behind HTTP, as a process. */

await needed()
await listen(
  Number(process.argv[2]),
  Object.fromEntries(httpTools.map(name => [`/${name}`, input => runTool(name, input)])),
)
serves()

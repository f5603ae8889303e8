import { tell } from './tell.js'

console.log(await tell(...(globalThis.Deno?.args ?? process.argv.slice(2))))

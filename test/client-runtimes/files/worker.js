import { tell } from './tell.js'

onmessage = async ({ data }) => postMessage(await tell(...data))

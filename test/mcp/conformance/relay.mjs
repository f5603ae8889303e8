import { request } from 'node:http'

/*
 * What the conformance suite starts as the client, once for each scenario: it asks the test process to be that client, so that a scenario costs
 * no start of Tidings. `node relay.mjs PORT URL`
 */

const [port, url] = process.argv.slice(2)
const { MCP_CONFORMANCE_SCENARIO: scenario, MCP_CONFORMANCE_CONTEXT: context = '{}' } = process.env
const asking = request({ port, method: 'POST' }, response => {
  response.pipe(process.stderr)
  response.on('end', () => (process.exitCode = response.statusCode === 200 ? 0 : 1))
})
asking.end(JSON.stringify({ url, scenario, context: JSON.parse(context) }))

import { TidingsError } from '../errors.ts'

const name = '@modelcontextprotocol/server'

/** The server of the MCP SDK, which is optional. @throws E_MCP_MISSING */
export const loadServerSdk = () => import('@modelcontextprotocol/server').catch(missing)

/** @throws E_MCP_MISSING */
export const loadStdioSdk = () => import('@modelcontextprotocol/server/stdio').catch(missing)

function missing(cause: unknown): never {
  throw new TidingsError('E_MCP_MISSING', `the package ${name} cannot be loaded: run npm install ${name}`, { cause })
}

export const mcpPath = '/mcp'
export const metadataPath = '/.well-known/oauth-protected-resource'

/** Open to everyone: without these documents a client cannot get a credential. */
export const isMetadataPath = (path: string): boolean => path === metadataPath || path === metadataPath + mcpPath

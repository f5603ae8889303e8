/** By this name client and server agree on tasks. Source: SEP-2663. */
export const tasksExtension = 'io.modelcontextprotocol/tasks'

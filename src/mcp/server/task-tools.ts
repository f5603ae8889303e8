/** Tools for clients that do not know tasks. */
export const taskTools = [
  {
    name: 'get_task',
    description: 'Waits for the result of a task that another tool started, and says whether it still runs.',
    inputSchema: taskInput(),
    annotations: { readOnlyHint: true },
  },
  {
    name: 'cancel_task',
    description: 'Cancels a task that another tool started, with all that it called.',
    inputSchema: taskInput({ reason: { type: 'string', description: 'Why, for the record.' } }),
    annotations: { readOnlyHint: false, idempotentHint: true },
  },
] as const

function taskInput(more: object = {}) {
  return {
    type: 'object',
    properties: { task: { type: 'string', description: 'The id that the call answered with.' }, ...more },
    required: ['task'],
  }
}

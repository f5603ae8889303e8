import { Admission } from './admission.ts'
import { Balancer } from './balancer.ts'
import { boundsOf, Caller, deadlineHeader, postJson } from './caller.ts'
import { listen, StatusError } from './http.ts'
import { agentNames } from './task.ts'
import { needed, serves } from './child.ts'

/* The agent service of the chain, as a process: admits tasks, and calls the agents one after the other. */

const [portText, agentsUrls, admitText, tuned] = process.argv.slice(2) as [string, string, string, string]
const isTuned = tuned === 'tuned'
const agentsServices = new Balancer(agentsUrls.split(','))
const admission = new Admission(isTuned ? Number(admitText) : Infinity)
// Longer than all that an agent may take: two calls of the model and a tool, with their retries.
const agentsCaller = new Caller(
  isTuned
    ? { timeoutMs: 50_000, maxAttempts: 6, backoffMs: 250, isTuned }
    : { timeoutMs: 30_000, maxAttempts: 3, backoffMs: 500, isTuned },
)

await needed()
await listen(Number(portText), {
  '/task': (body, exchange) => {
    const { deadline, signal } = boundsOf(exchange, isTuned)
    return admission.run(deadline, signal, async () => {
      let text: unknown = body
      for (const name of agentNames) text = await callAgent(name, text, deadline, signal)
      return text
    })
  },
})
serves()

async function callAgent(name: string, input: unknown, deadline: number, signal: AbortSignal): Promise<unknown> {
  const headers = { [deadlineHeader]: String(deadline) }
  try {
    return await agentsCaller.call(
      attempt => agentsServices.call(url => postJson(`${url}/${name}`, input, attempt, headers)),
      deadline,
      signal,
    )
  } catch (error) {
    // 503 would say that the task was not admitted.
    throw new StatusError(502, String(error))
  }
}

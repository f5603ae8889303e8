import {
  enforceOutgoingInput,
  HttpAgent,
  runHttpRequest,
  transformHttpEventStream,
  type RunAgentInput,
  type RunAgentParameters,
  type RunAgentResult,
} from '@ag-ui/client'
import { resumableResponse, type ResumableRun } from './resumable.ts'

type Events = ReturnType<HttpAgent['run']>

/**
 * The client of AG-UI for a gateway of Tidings. `connectAgent()` loads the conversation of its `threadId` and shows what the agent is doing
 * there, after a reload or on a second device. If the connection breaks, the run goes on when the gateway is back, with nothing lost or twice.
 * @example
 * import { TidingsAgent } from 'tidings/ag-ui'
 * const helper = new TidingsAgent({ url: 'https://shop.example/ag-ui/helper', threadId: 'ada-1' })
 * await helper.connectAgent()
 * helper.addMessage({ id: crypto.randomUUID(), role: 'user', content: 'When is high tide?' })
 * await helper.runAgent()
 */
export class TidingsAgent extends HttpAgent {
  override run(input: RunAgentInput): Events {
    const open = () => this.fetch(this.url, this.requestInit(enforceOutgoingInput(input)))
    return this.resumable(input, { open, isReplayed: false })
  }

  /**
   * Shows the thread from the log, and then what the agent does until it ends or asks a person. Interrupts that are open come back.
   * @example
   * import { TidingsAgent } from 'tidings/ag-ui'
   * await new TidingsAgent({ url, threadId: 'ada-1' }).connectAgent()
   */
  override connectAgent(
    ...args: [parameters?: RunAgentParameters, subscriber?: Parameters<HttpAgent['connectAgent']>[1]]
  ): Promise<RunAgentResult> {
    this.abortController = new AbortController()
    this.pendingInterrupts = []
    return super.connectAgent(...args)
  }

  protected override connect(input: RunAgentInput): Events {
    return this.resumable(input, { open: () => this.reopen(input), isReplayed: true })
  }

  private resumable(input: RunAgentInput, first: Pick<ResumableRun, 'open' | 'isReplayed'>): Events {
    const { signal } = this.abortController
    const reasoning = input.messages.flatMap(({ role, id }) => (role === 'reasoning' ? [id] : []))
    const response = () => resumableResponse({ ...first, reopen: () => this.reopen(input), reasoning, signal })
    return transformHttpEventStream(runHttpRequest(response), this.debugLogger)
  }

  private reopen({ threadId, runId }: RunAgentInput): Promise<Response> {
    const [path, query] = this.url.split('?')
    const url = `${path}/${encodeURIComponent(threadId)}?run=${encodeURIComponent(runId)}${query ? `&${query}` : ''}`
    const headers = { ...this.headers, Accept: 'text/event-stream' }
    return this.fetch(url, { headers, signal: this.abortController.signal })
  }
}

import { APICallError, type LanguageModelV4 } from '@ai-sdk/provider'
import { plainModel } from './plain-model.ts'

/** A provider that can be away: it then refuses what reaches it with 503. */
export class Provider {
  isAway = false
  refused = 0
  answered = 0
  readonly model: LanguageModelV4

  /** `headers`: of each refusal. */
  constructor(headers: Record<string, string> = {}) {
    const { model } = plainModel(() => 'Done.')
    this.model = {
      ...model,
      doStream: async options => {
        if (!this.isAway) {
          this.answered++
          return model.doStream(options)
        }
        this.refused++
        await new Promise(resolve => setTimeout(resolve, 10))
        throw new APICallError({
          message: 'Service Unavailable',
          url: 'http://provider.test',
          requestBodyValues: {},
          statusCode: 503,
          responseHeaders: headers,
          isRetryable: true,
        })
      },
    }
  }
}

import { TidingsError } from '../errors.ts'
import type { ModelEnd, ModelResult } from '../tasks/conversation.ts'

/** What to do when a model stops before its answer is complete. */
export interface FinishRules {
  /**
   * It reached its limit of output tokens. `continue`: asks for the rest, at most three times in a row, and joins the pieces;
   * for output with a schema, asks for a shorter answer. Default `continue`.
   */
  length?: 'continue' | 'fail' | 'accept'
  /** It returned neither text nor a tool call. `continue`: asks once more, at most three times in a row. Default `continue`. */
  empty?: 'continue' | 'fail' | 'accept'
  /** A content filter of its provider stopped it. Default `fail`. */
  filtered?: 'fail' | 'accept'
  /** It refused. Default `fail`. */
  refused?: 'fail' | 'accept'
  /** It stopped for an unknown reason. Default `fail`. */
  other?: 'fail' | 'accept'
}

export type Unfinished = Exclude<ModelEnd, 'whole' | 'paused'>

export const defaultRules: Required<FinishRules> = {
  length: 'continue',
  empty: 'continue',
  filtered: 'fail',
  refused: 'fail',
  other: 'fail',
}

const maxQuotedChars = 500

/** The error of a task whose model stopped like this. `times`: how often in a row. */
export function unfinished(end: Unfinished, { finish, rawFinish, text }: ModelResult, times: number): TidingsError {
  const inRow = times > 1 ? `, ${times} times in a row` : ''
  const quoted = text.trim() ? `: ${text.trim().slice(0, maxQuotedChars)}` : ''
  const reason = rawFinish ?? finish
  switch (end) {
    case 'length':
      return new TidingsError('E_MODEL_LENGTH', `the model reached its limit of output tokens (${reason})${inRow}`)
    case 'empty':
      return new TidingsError('E_MODEL_EMPTY', `the model returned neither text nor a tool call${inRow}`)
    case 'filtered':
      return new TidingsError('E_MODEL_FILTERED', `a content filter stopped the model (${reason})`)
    case 'refused':
      return new TidingsError('E_MODEL_REFUSED', `the model refused${quoted}`)
    case 'other':
      return new TidingsError('E_MODEL_UNFINISHED', `the model stopped for the reason "${reason}"${quoted}`)
  }
}

// The context window is full, so another request cannot continue the answer.
const contextWindowFinish = 'model_context_window_exceeded'

/** Whether another request can return the rest: not if reasoning used all the tokens. */
export const canContinue = (end: Unfinished, { rawFinish, text, toolCalls }: ModelResult) =>
  end === 'empty' || (rawFinish !== contextWindowFinish && (text.trim() !== '' || toolCalls.length > 0))

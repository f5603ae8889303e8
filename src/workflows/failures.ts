import { TidingsError, type ErrorData } from '../errors.ts'

/* How a step can fail, as data. */

export const expired = (what: string): ErrorData => new TidingsError('E_WORKFLOW_EXPIRED', what).toJSON()
export const unmatched = (what: string): ErrorData => new TidingsError('E_WORKFLOW_UNMATCHED', what).toJSON()
export const invalid = (what: string): ErrorData => new TidingsError('E_WORKFLOW_VALUE', what).toJSON()
export const failed = (what: string): ErrorData => new TidingsError('E_WORKFLOW_FAILED', what).toJSON()

import { TidingsError, type ErrorData } from '../errors.ts'

/* Errors of a step, as data. */

export const expiredError = (what: string): ErrorData => new TidingsError('E_WORKFLOW_EXPIRED', what).toJSON()
export const unmatchedError = (what: string): ErrorData => new TidingsError('E_WORKFLOW_UNMATCHED', what).toJSON()
export const valueError = (what: string): ErrorData => new TidingsError('E_WORKFLOW_VALUE', what).toJSON()
export const failedError = (what: string): ErrorData => new TidingsError('E_WORKFLOW_FAILED', what).toJSON()

import { createAPI, endTxnV4, produceV11, ResponseError, txnOffsetCommitV4 } from '@platformatic/kafka'

/*
 * The requests of transaction protocol 2, at which the client's encoders stop short: the bytes of the requests are those
 * of the version before, and the end of a transaction answers with the producer's next epoch.
 */

export const produceV12 = createAPI<Parameters<typeof produceV11.createRequest>, unknown>(
  0,
  12,
  produceV11.createRequest,
  produceV11.parseResponse,
)
export const txnOffsetCommitV5 = createAPI<Parameters<typeof txnOffsetCommitV4.createRequest>, unknown>(
  28,
  5,
  txnOffsetCommitV4.createRequest,
  txnOffsetCommitV4.parseResponse,
)
export const endTxnV5 = createAPI<
  Parameters<typeof endTxnV4.createRequest>,
  { producerId: bigint; producerEpoch: number }
>(26, 5, endTxnV4.createRequest, (_id, apiKey, apiVersion, reader) => {
  reader.readInt32()
  const error = reader.readInt16()
  const response = { producerId: reader.readInt64(), producerEpoch: reader.readInt16() }
  reader.readTaggedFields()
  if (error !== 0) throw new ResponseError(apiKey, apiVersion, { '/': [error, null] }, response)
  return response
})

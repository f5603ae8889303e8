import {
  createAPI,
  endTxnV4,
  produceV11,
  ResponseError,
  txnOffsetCommitV4,
  type API,
  type fetchV16,
} from '@platformatic/kafka'

/*
 * The requests of transaction protocol 2 (Kafka 4), at which the client's encoders stop short: the bytes of the requests are those
 * of the version before, and the end of a transaction answers with the producer's next epoch.
 */

export interface NextProducer {
  readonly producerId: bigint
  readonly producerEpoch: number
}

export const produceV12 = createAPI(0, 12, produceV11.createRequest, produceV11.parseResponse) as typeof produceV11.api

export const txnOffsetCommitV5 = createAPI(
  28,
  5,
  txnOffsetCommitV4.createRequest,
  txnOffsetCommitV4.parseResponse,
) as typeof txnOffsetCommitV4.api

export const endTxnV5: API<Parameters<typeof endTxnV4.createRequest>, NextProducer> = createAPI(
  26,
  5,
  endTxnV4.createRequest,
  (_id, apiKey, apiVersion, reader) => {
    reader.readInt32()
    const error = reader.readInt16()
    const next = { producerId: reader.readInt64(), producerEpoch: reader.readInt16() }
    reader.readTaggedFields()
    if (error !== 0) throw new ResponseError(apiKey, apiVersion, { '/': [error, null] }, next)
    return next
  },
)

export type ProduceAnswer = ReturnType<typeof produceV11.parseResponse>
export type FetchAnswer = ReturnType<typeof fetchV16.parseResponse>
export type FetchedPartition = FetchAnswer['responses'][number]['partitions'][number]

import type { Json } from '../../json.ts'

/** A schema as the registry stores it, with what it refers to. */
export interface RegisteredSchema {
  readonly id: number
  readonly type: SchemaType
  readonly text: string
  /** The schemas that it refers to, those first that others need. */
  readonly references: readonly ReferencedSchema[]
}

export interface ReferencedSchema {
  /** What the schema calls it: a name in Avro, the path of an import in Protobuf, a URL in JSON Schema. */
  readonly name: string
  readonly text: string
}

export type SchemaType = 'AVRO' | 'PROTOBUF' | 'JSON'

/** Turns JSON values into the bytes of one schema and back. `bytes` exclude the header of the wire format. */
export interface Codec {
  readonly contentType: string
  /** @throws E_RECORD_INVALID */
  decode(bytes: Buffer): Json
  /** `message`: the name of a Protobuf message type. @throws E_RECORD_INVALID */
  encode(value: unknown, message?: string): Buffer | Promise<Buffer>
}

/* The data of the events that triggers publish. `docs/wire-format.md` is normative. */

/** A name and an address, as in `From: Ann <ann@example.org>`. */
export interface Mailbox {
  name: string
  address: string
}

/** The SMTP envelope of a mail. MAIL FROM and RCPT TO may differ from the headers. */
export interface Envelope {
  from: string
  to: string[]
  /** IP address of the client. */
  remoteAddress: string
  /** Name from HELO, not verified. */
  helo: string
  /** If the connection was encrypted: `TLSv1.3`, `TLS_AES_256_GCM_SHA384`. */
  tls?: { version: string; cipher: string }
  /** The user that logged in. */
  user?: string
}

/** A result that a trusted mail server reported about the mail (RFC 8601): method `spf`, `dkim`, …, result `pass`, `fail`, … */
export interface AuthenticationResult {
  /** The server that reported it. */
  authservId: string
  method: string
  result: string
  reason?: string
  /** What was checked: `{ "header.d": "example.org" }`. */
  properties: Record<string, string>
}

/** `email.received` */
export interface EmailReceived {
  messageId?: string
  from: Mailbox
  to: Mailbox[]
  cc: Mailbox[]
  subject: string
  text: string
  html?: string
  /** ISO 8601, as stated by the sender. */
  date?: string
  headers: { name: string; value: string }[]
  attachments: {
    /** A name without a path that is valid for a file on every system. */
    filename: string | null
    contentType: string
    disposition: 'attachment' | 'inline'
    /** Content-ID that the HTML refers to as `cid:…`. */
    contentId?: string
    bytes: number
    blob: string
  }[]
  /** Results of the trusted mail servers. */
  authentication: AuthenticationResult[]
  envelope: Envelope
}

/** `webhook.received`, from an endpoint without `type`. */
export interface WebhookReceived {
  /** Name of the endpoint. */
  endpoint: string
  headers: Record<string, string>
  /** The body as JSON or form fields; null if it is neither. */
  body: unknown
  /** The signed bytes. */
  raw: { blob: string; bytes: number }
}

/** `schedule.fired` */
export interface ScheduleFired {
  schedule: string
  /** When it was due, RFC 3339 in UTC. */
  due: string
  /** Set if it fired late because no worker ran. */
  missed?: true
  /** Set if `tidings trigger test NAME` caused it. */
  sample?: true
}

/** `file.created`, `file.changed`, `file.removed`. */
export interface FileEvent {
  /** Relative to the watched folder, with `/`. */
  path: string
  folder: string
  /** Unless the file was removed. */
  bytes?: number
  /** The content, unless the file was removed or is larger than `maxBytes`. */
  blob?: string
  /** The time of its last change, RFC 3339 in UTC, unless the file was removed. */
  modified?: string
}

/** `mqtt.received`, from a topic without `type`. */
export interface MqttReceived {
  topic: string
  qos: 0 | 1 | 2
  retained: boolean
  /** The payload as JSON or text; null if it is neither. */
  payload: unknown
  /** The bytes of a payload that is neither. */
  raw?: { blob: string; bytes: number }
  /** User properties (MQTT 5); absent if there are none. */
  properties?: { name: string; value: string }[]
}

/** `kafka.received`, from a topic without `type` */
export interface KafkaReceived {
  topic: string
  partition: number
  offset: number
  /** When it was produced, or when the broker stored it: RFC 3339 in UTC. */
  timestamp: string
  /** Null if the record has none. */
  key: unknown
  /** Null if the record has none (a tombstone), or if it is neither JSON nor text. */
  value: unknown
  /** Set if the record has no value. */
  tombstone?: true
  /** The bytes of a value that is neither JSON nor text. */
  raw?: { blob: string; bytes: number }
  /** Absent if there are none. */
  headers?: { name: string; value: string }[]
}

/** Bytes of a record: as Base64, or if they are many in a blob. Secrets in them are redacted. */
export type RawBytes = { base64: string } | { blob: string; bytes: number }

/** `kafka.rejected`: a record that could not become an event, with all that is needed to try it again. */
export interface KafkaRejected {
  topic: string
  partition: number
  offset: number
  timestamp: string
  /** Why: a code and a text. */
  error: { code: string; message: string }
  /** SHA-256 of the value as it came; null for a tombstone. */
  sha256: string | null
  key: RawBytes | null
  value: RawBytes | null
  headers: { name: string; value: RawBytes | null }[]
}

/** The data of the events that triggers publish, by type. */
export interface Received {
  'email.received': EmailReceived
  'webhook.received': WebhookReceived
  'schedule.fired': ScheduleFired
  'file.created': FileEvent
  'file.changed': FileEvent
  'file.removed': FileEvent
  'mqtt.received': MqttReceived
  'kafka.received': KafkaReceived
  'kafka.rejected': KafkaRejected
}

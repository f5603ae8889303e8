/* What comes in by the triggers: the data of their events. `docs/wire-format.md` is normative. */

export interface Mailbox {
  name: string
  address: string
}

/** The SMTP envelope of a mail. MAIL FROM and RCPT TO may differ from the headers. */
export interface Envelope {
  from: string
  to: string[]
  /** The address that the connection came from. */
  remoteAddress: string
  /** What the client calls itself; nobody checks it. */
  helo: string
  /** Of a connection that was encrypted: `TLSv1.3`, `TLS_AES_256_GCM_SHA384`. */
  tls?: { version: string; cipher: string }
  /** Who logged in. */
  user?: string
}

/** One finding of a mail server that is trusted, about the mail (RFC 8601): `spf`, `dkim`, `dmarc`, … and `pass`, `fail`, … */
export interface AuthenticationResult {
  /** Who says so. */
  authservId: string
  method: string
  result: string
  reason?: string
  /** What it is about: `{ "header.d": "example.org" }`. */
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
  /** ISO 8601, as the sender says. */
  date?: string
  headers: { name: string; value: string }[]
  attachments: {
    /** A name without a path that any system can give to a file. */
    filename: string | null
    contentType: string
    disposition: 'attachment' | 'inline'
    /** What HTML calls it: `cid:…`. */
    contentId?: string
    bytes: number
    blob: string
  }[]
  /** What trusted mail servers found out about it. */
  authentication: AuthenticationResult[]
  envelope: Envelope
}

/** `webhook.received`, where an endpoint maps what it takes to no type of its own. */
export interface WebhookReceived {
  /** Name of the endpoint. */
  endpoint: string
  headers: Record<string, string>
  /** What the body says, as JSON or form fields; null where it is neither. */
  body: unknown
  /** The bytes as they came, which the signature is over. */
  raw: { blob: string; bytes: number }
}

/** `schedule.fired` */
export interface ScheduleFired {
  schedule: string
  /** When it was due, RFC 3339 in UTC. */
  due: string
  /** Set where it is fired late, since nobody was there. */
  missed?: true
  /** Set where somebody asked for it: `tidings trigger test NAME`. */
  sample?: true
}

/** `file.created`, `file.changed`, `file.removed`. */
export interface FileEvent {
  /** Relative to the folder that is watched, with `/`. */
  path: string
  folder: string
  /** Of a file that is there: its content, and when it was written, RFC 3339 in UTC. */
  bytes?: number
  blob?: string
  modified?: string
}

/** `mqtt.received`, where a topic is mapped to no type of its own. */
export interface MqttReceived {
  topic: string
  qos: 0 | 1 | 2
  retained: boolean
  /** What the payload says, as JSON or text; null where it is neither. */
  payload: unknown
  /** The bytes, where they are neither. */
  raw?: { blob: string; bytes: number }
  /** User properties, where there are some (MQTT 5). */
  properties?: { name: string; value: string }[]
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
}

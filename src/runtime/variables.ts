export interface Variable {
  /** Used where the variable is not set. */
  readonly default?: string | number
  /** Markdown. Links are relative to `docs/`. */
  readonly about: string
}

/** Every environment variable of Tidings. The tables in README.md and `docs/configuration.md` are generated from it. */
export const variables = {
  TIDINGS_HOME: { default: '.tidings', about: 'the data folder' },
  TIDINGS_BUS: {
    default: 'sqlite',
    about:
      'the embedded log, or the address of a log on NATS ([nats.md](nats.md#address)) or Kafka ([kafka.md](kafka.md#address))',
  },
  TIDINGS_BLOBS: {
    about:
      'a store for large data, instead of that of the log: `s3://BUCKET/PREFIX?endpoint=URL&region=NAME`: [configuration.md](configuration.md#blobs-in-s3)',
  },
  TIDINGS_PORT: { default: 4110, about: "the gateway's port" },
  TIDINGS_HOST: {
    default: '127.0.0.1',
    about: "the gateway's address; any other than loopback demands `TIDINGS_POLICY`: [identity.md](identity.md)",
  },
  TIDINGS_POLICY: {
    about:
      'the policy file, which says who may do what over HTTP, for the gateway and for workers with the role `agents`; if unset, every process of this machine may do everything but answer approvals: [identity.md](identity.md)',
  },
  TIDINGS_SMTP_PORT: { default: 2525, about: 'the port for mail, on loopback' },
  TIDINGS_WEBHOOK_PORT: { default: 2580, about: 'the port for webhooks, on loopback' },
  TIDINGS_MQTT_URL: {
    about: 'the MQTT broker of `mqtt()` triggers that name none: [triggers/mqtt.md](triggers/mqtt.md)',
  },
  TIDINGS_KAFKA_URL: {
    about:
      'the Kafka cluster of `kafka()` triggers and `kafkaSink()` that name none: [guides/kafka-topics.md](guides/kafka-topics.md)',
  },
  TIDINGS_MODEL: {
    default: 'offline',
    about: 'the model of `modelFromEnvironment()`: [start.md](start.md#use-a-real-model)',
  },
  TIDINGS_MODEL_KEY: { about: 'the key of a model that `TIDINGS_MODEL` names by a URL' },
  TIDINGS_STOP_WITHIN: {
    default: '30s',
    about: 'how long a stop waits for work in progress; after that, other workers get it',
  },
  TIDINGS_FAILED_FOR: { default: '1d', about: 'how long a failed task stays on the attention list' },
  TIDINGS_LOG_LEVEL: { about: '`error`, `warn`, `info`, `debug` or `silent`: [observe.md](observe.md#log-lines)' },
  TIDINGS_DEBUG: { about: 'set to 1 to print the stack of an error of the command line' },
  TIDINGS_NATS_SERVER: {
    about: 'the `nats-server` binary for `tidings broker nats` and the tests; unset: from the PATH',
  },
  TIDINGS_KAFKA_SERVER: {
    about: 'the folder of an unpacked Kafka 4 for `tidings broker kafka` and the tests; unset: from the PATH',
  },
} as const satisfies Record<string, Variable>

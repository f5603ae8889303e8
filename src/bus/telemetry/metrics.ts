import { Counter, Gauge, Histogram, type AnyInstrument } from './registry.ts'

/* The metrics of this process. docs/observe.md has a table of them. */

// From a no-op to a model that reasons for minutes.
const seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300]

const counter = (name: string, description: string, unit: string, ...labels: string[]) =>
  new Counter({ name: `tidings.${name}`, description, unit, labels })
const gauge = (name: string, description: string, unit: string, ...labels: string[]) =>
  new Gauge({ name: `tidings.${name}`, description, unit, labels })
const histogram = (name: string, description: string, ...labels: string[]) =>
  new Histogram({ name: `tidings.${name}`, description, unit: 's', labels }, seconds)

export const metrics = {
  published: counter('events.published', 'Events that this process published.', '{event}', 'type'),
  deliveries: counter('deliveries', 'Settled deliveries, by outcome.', '{delivery}', 'group', 'outcome'),
  queueTime: histogram(
    'delivery.queue_time',
    'Time from when an event became available until a worker received it.',
    'group',
  ),
  deliveryTime: histogram('delivery.duration', 'Time from when an event was received until it was settled.', 'group'),
  decideTime: histogram('decide.duration', 'Duration of one turn of a task, until it is on the log.', 'program'),
  tasksStarted: counter('tasks.started', 'Tasks whose first turn was accepted.', '{task}', 'program'),
  tasksEnded: counter(
    'tasks.ended',
    'Tasks whose last turn was accepted, by how they ended.',
    '{task}',
    'program',
    'end',
  ),
  toolTime: histogram('tool.duration', 'Duration of one run of a tool. error: its code, or none.', 'tool', 'error'),
  stepTime: histogram(
    'step.duration',
    'Duration of one run of an inline step. error: its code, or none.',
    'agent',
    'error',
  ),
  modelTime: histogram(
    'model.duration',
    'Duration of one step of a model. error: its code, or none.',
    'model',
    'error',
  ),
  tokens: counter('model.tokens', 'Tokens. Input includes cached tokens.', '{token}', 'model', 'direction'),
  cost: counter('model.cost', 'Cost of models in the currency of their prices.', '', 'model'),
  refused: counter(
    'trigger.refused',
    'Messages that triggers rejected, by error code.',
    '{message}',
    'trigger',
    'error',
  ),
  lag: gauge('group.lag', 'Events of a group that are not settled, over all processes.', '{event}', 'group'),
  inFlight: gauge('group.in_flight', 'Events of a group that are in flight, over all processes.', '{event}', 'group'),
  attention: gauge('attention.entries', 'Entries of the attention list, up to 10,000.', '{entry}', 'state'),
  position: gauge('log.position', 'Offset of the newest event of each partition.', '', 'partition'),
  logUp: gauge('log.up', '1 if the log answers, else 0.', ''),
}

export const instruments: readonly AnyInstrument[] = Object.values(metrics)

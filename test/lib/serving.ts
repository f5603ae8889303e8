import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

/** A listener whose failure is an unhandled rejection, which fails the test. */
export const serving =
  (handle: (incoming: IncomingMessage, outgoing: ServerResponse) => unknown): RequestListener =>
  (incoming, outgoing) =>
    void handle(incoming, outgoing)

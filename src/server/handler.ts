/**
 * A handler answers one API: its tables, the versions it serves and the function from request to
 * response. `server` knows nothing else about what the broker does.
 *
 * What must happen in order happens before the first `await`; a handler that can answer at once returns
 * the response itself, not a promise, and costs none. `null` answers nothing (Produce with acks=0).
 * Replies leave in the order of the requests, whichever is ready first.
 *
 * What a client must be allowed to do is declared beside the handler, in `access`, by the rules of
 * `access.ts`; `[]` where everybody may. A request for each rule is in test/handlers/access.test.ts.
 */
import type { ApiRow, RequestOf, ResponseOf } from '../../protocol/apis.ts'
import type { ErrorRow } from '../../protocol/errors.ts'
import type { AccessRule } from './access.ts'
import type { KeptAnswers } from './kept-answers.ts'
import type { RequestContext } from './request-context.ts'

export type Handle<Api extends ApiRow> = (
  request: RequestOf<Api>,
  context: RequestContext,
) => ResponseOf<Api> | null | Promise<ResponseOf<Api> | null>

export interface HandlerOptions<Api extends ApiRow> {
  /** By what a client must be allowed to do this: all the rules that the handler asks. */
  readonly access?: readonly AccessRule[]
  /** Versions served, where not all of the table: [lowest, highest]. */
  readonly versions?: readonly [number, number]
  /** What counts against the client's quotas, where it is not just the time: its bytes as well, or nothing. */
  readonly quota?: 'bytes' | 'none'
  /** Answers that are the same for many, see `kept-answers.ts`. */
  readonly kept?: KeptAnswers
  /** What came whole is done although its peer has gone meanwhile: it may want no answer. */
  readonly outlivesPeer?: boolean
  /**
   * The response to a request that failed as a whole (the handler threw `KafkaError`, or something
   * unexpected: UNKNOWN_SERVER_ERROR). Without it, or where it returns null, the connection is closed.
   */
  readonly onError?: (
    request: RequestOf<Api>,
    error: ErrorRow,
    version: number,
    message: string | null,
  ) => ResponseOf<Api> | null
  /**
   * The response to a request of a version that is not served, sent in version 0 (KIP-35: ApiVersions is
   * answered even so). Without it the connection is closed.
   */
  readonly onUnsupportedVersion?: () => ResponseOf<Api>
}

export interface Handler<Api extends ApiRow = ApiRow> extends HandlerOptions<Api> {
  readonly api: Api
  readonly handle: Handle<Api>
}

/** A handler of any API, as the table of handlers holds it: its request is what its own table decodes to. */
export interface AnyHandler {
  readonly api: ApiRow
  readonly access?: readonly AccessRule[]
  readonly versions?: readonly [number, number]
  readonly quota?: 'bytes' | 'none'
  readonly kept?: KeptAnswers
  readonly outlivesPeer?: boolean
  readonly handle: (request: never, context: RequestContext) => unknown
  readonly onError?: (
    request: never,
    error: ErrorRow,
    version: number,
    message: string | null,
  ) => unknown
  readonly onUnsupportedVersion?: () => unknown
}

export function handler<Api extends ApiRow>(
  api: Api,
  handle: Handle<Api>,
  options?: HandlerOptions<Api>,
): Handler<Api> {
  return { api, handle, ...options }
}

/** The versions a handler serves, and so the ones to advertise: [lowest, highest]. */
export function servedVersions({ api, versions }: AnyHandler): readonly [number, number] {
  const { min, max } = api.request.valid
  return versions ?? [min, api.isLatestUnstable ? max - 1 : max]
}

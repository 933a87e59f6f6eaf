/** What a handler is given beside the request, in a broker with one client and with time for it. */
import type { ApiRow } from '../../protocol/apis.ts'
import { atOnce as finish } from '../../src/environment/in-turns.ts'
import type { ConnectionContext, RequestContext } from '../../src/server/request-context.ts'

/** There is nobody else to take turns with. */
const atOnce = {
  inTurns: finish,
  allInTurns<Item, Made>(
    items: Iterable<Item>,
    make: (item: Item) => Made | Promise<Made>,
  ): Promise<Made[]> {
    return Promise.all(Array.from(items, make))
  },
}

export function requestContext(
  api: ApiRow,
  apiVersion: number,
  connection: ConnectionContext,
  overrides: Partial<RequestContext> = {},
): RequestContext {
  return {
    apiKey: api.key,
    apiVersion,
    correlationId: 1,
    clientId: 'test',
    listener: 'PLAINTEXT',
    requestBytes: 100,
    receivedMs: 0,
    authorizer: null,
    connection,
    releaseRequest: () => {},
    releaseWhenSent: () => {},
    releaseUnsent: () => {},
    holdNext: () => {},
    replyBytesLeft: 2 ** 40,
    expectReply: () => {},
    keepAnswer: () => {},
    replyRoom: () => null,
    setAside: () => {},
    ...atOnce,
    isOverQuota: () => false,
    countRecords: () => {},
    countMutations: () => {},
    ...overrides,
  }
}

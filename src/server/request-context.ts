/** What a handler may know about the request beside its body: who asks, over which connection, as what. */
import type { Steps } from '../environment/in-turns.ts'
import type { Endpoint } from '../environment/network.ts'
import type { Authorizer } from './access.ts'

export interface RequestContext {
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
  /** Name of the listener by which the request came, as in `listeners`. */
  readonly listener: string
  /** Bytes of the frame without its length prefix. */
  readonly requestBytes: number
  /** Monotonic milliseconds at which the whole frame had arrived. */
  readonly receivedMs: number
  readonly connection: ConnectionContext
  /** Decides what the client may do, by the rules of `access.ts`; null: everybody may do everything. */
  readonly authorizer: Authorizer | null
  /**
   * Nothing refers to the bytes of the request any more, neither this handler nor what it called: their
   * memory is used again. What the request decoded to holds slices of them where it has bytes or records.
   */
  releaseRequest(): void
  /** `buffer`, part of the reply perhaps, came from `Buffers` and is given back when the reply has left. */
  releaseWhenSent(buffer: Buffer): void
  /** What was to be given back when the reply has left is given back now: the reply will not hold it. */
  releaseUnsent(): void
  /**
   * This reply is not there yet and may be large: no further request of the connection is taken before
   * it is. Kafka itself takes one request of a connection at a time.
   */
  holdNext(): void
  /**
   * Whole bytes that this reply should not exceed, as far as it can be made smaller: what is left of the memory for
   * all replies is shared, and a client with a quota gets it in small helpings.
   */
  readonly replyBytesLeft: number
  /**
   * The client has had more than its quotas allow: the reply must have no records, and says for how long to
   * wait. To be asked before anything is given away; `countRecords` follows where it is not so.
   */
  isOverQuota(): boolean
  /** The reply has so many bytes of records. */
  countRecords(bytes: number): void
  /**
   * The client asks for so many partitions to be made or deleted (KIP-599). Throws KafkaError
   * THROTTLING_QUOTA_EXCEEDED where it has asked for too many before and knows the error (`isStrict`);
   * the reply says for how long to wait, unless what is done is not what the request is for (`waits`).
   */
  countMutations(partitions: number, isStrict: boolean, waits?: boolean): void
  /** The reply will be about so large: it counts against the memory for all replies from now on. */
  expectReply(bytes: number): void
  /**
   * The answer follows from the bytes of the request and from `state`, see `kept-answers.ts`: it may be given to
   * whoever asks the same.
   */
  keepAnswer(state: object): void
  /**
   * Null, or where even the smallest reply with records is too much for now, a promise of the moment at
   * which it no longer is.
   */
  replyRoom(): Promise<void> | null
  /**
   * From now on this request waits for what other clients do, perhaps for long: its memory no longer keeps
   * other requests from being taken. Of those that wait, the ones that hold most are cut off when they hold
   * too much together.
   */
  setAside(): void
  /**
   * Runs work that takes longer the more is asked for, see `environment/in-turns.ts`: at once where it is
   * little, else in turns with everybody else, and as `holdNext`. It is given up between two steps once the
   * peer has gone, unless it `isWhole`.
   */
  inTurns<Result>(steps: Steps<Result>, isWhole?: boolean): Result | Promise<Result>
  /** As `inTurns`, where each item may have to be waited for, `atOnce` of them together. */
  allInTurns<Item, Made>(
    items: Iterable<Item>,
    make: (item: Item) => Made | Promise<Made>,
    atOnce?: number,
  ): Promise<Made[]>
}

/** The connection, as handlers see it; the same object for all requests of a connection. */
export interface ConnectionContext {
  /** Unique within the process: `localHost:localPort-remoteHost:remotePort-0-index`, as Kafka writes it. */
  readonly id: string
  readonly local: Endpoint
  readonly remote: Endpoint
  /** As in ACLs: `User:alice`; `User:ANONYMOUS` where nobody had to say who they are. */
  readonly principal: string
  /** What the client said about itself in ApiVersions (KIP-511). */
  softwareName: string | undefined
  softwareVersion: string | undefined
  /** State that a part of the broker keeps per connection, under a key that the part owns; gone with the connection. */
  readonly attachments: Map<symbol, unknown>
  /** False once the peer has gone: what waits for it may be dropped. */
  readonly isOpen: boolean
  /** Runs once when the connection closes; at once if it is closed already. */
  onClose(callback: () => void): void
}

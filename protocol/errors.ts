/**
 * Every error that Kafka's protocol knows: its code, its name, whether trying again may help, and a
 * sentence for whoever meets it. Errors are values in responses; `KafkaError` carries one where a
 * whole request fails.
 */
export interface ErrorRow {
  readonly code: number
  readonly name: string
  /** Whether the same request may succeed later without any change. */
  readonly retriable: boolean
  readonly message: string
}

interface Sentence {
  readonly code: number
  readonly retriable: boolean
  readonly message: string
}

const retriable = (code: number, message: string): Sentence => ({ code, retriable: true, message })
const fatal = (code: number, message: string): Sentence => ({ code, retriable: false, message })

const sentences = {
  UNKNOWN_SERVER_ERROR: fatal(
    -1,
    'The broker met a condition that it has no better error for; its log says more.',
  ),
  NONE: fatal(0, 'No error.'),
  OFFSET_OUT_OF_RANGE: fatal(
    1,
    "The offset lies outside the range that the partition's log holds.",
  ),
  CORRUPT_MESSAGE: retriable(
    2,
    'The batch has a wrong checksum, size or shape, or lacks the key that a compacted topic needs.',
  ),
  UNKNOWN_TOPIC_OR_PARTITION: retriable(3, 'This broker does not host such a topic and partition.'),
  INVALID_FETCH_SIZE: fatal(4, 'The fetch size is not valid.'),
  LEADER_NOT_AVAILABLE: retriable(
    5,
    'The partition has no leader at the moment; an election is under way.',
  ),
  NOT_LEADER_OR_FOLLOWER: retriable(
    6,
    "This broker is not the partition's leader, or not a replica that may serve the request.",
  ),
  REQUEST_TIMED_OUT: retriable(7, 'The request did not complete within its time limit.'),
  BROKER_NOT_AVAILABLE: fatal(8, 'The broker is not available.'),
  REPLICA_NOT_AVAILABLE: retriable(9, 'The replica is not available on this broker.'),
  MESSAGE_TOO_LARGE: fatal(10, 'The batch is larger than max.message.bytes allows.'),
  STALE_CONTROLLER_EPOCH: fatal(11, 'The request comes from a controller that has been replaced.'),
  OFFSET_METADATA_TOO_LARGE: fatal(
    12,
    'The metadata of the committed offset is longer than offset.metadata.max.bytes allows.',
  ),
  NETWORK_EXCEPTION: retriable(13, 'The connection broke before an answer arrived.'),
  COORDINATOR_LOAD_IN_PROGRESS: retriable(14, 'The coordinator is still loading its state.'),
  COORDINATOR_NOT_AVAILABLE: retriable(15, 'No coordinator is available at the moment.'),
  NOT_COORDINATOR: retriable(16, 'This broker is not the coordinator that the request needs.'),
  INVALID_TOPIC_EXCEPTION: fatal(
    17,
    "The topic's name is not valid, or the operation is not allowed on this topic.",
  ),
  RECORD_LIST_TOO_LARGE: fatal(18, 'The batch is larger than a segment of the log may be.'),
  NOT_ENOUGH_REPLICAS: retriable(
    19,
    'Fewer replicas are in sync than min.insync.replicas asks for; nothing was written.',
  ),
  NOT_ENOUGH_REPLICAS_AFTER_APPEND: retriable(
    20,
    'The records were written, but by fewer in-sync replicas than min.insync.replicas asks for.',
  ),
  INVALID_REQUIRED_ACKS: fatal(21, 'The value of acks must be 0, 1 or -1.'),
  ILLEGAL_GENERATION: fatal(22, "The member's generation is not the group's current one."),
  INCONSISTENT_GROUP_PROTOCOL: fatal(
    23,
    "The member's protocol type or protocols do not go with those of the group.",
  ),
  INVALID_GROUP_ID: fatal(24, 'The group id is not valid.'),
  UNKNOWN_MEMBER_ID: fatal(25, 'The group has no member with this id.'),
  INVALID_SESSION_TIMEOUT: fatal(
    26,
    'The session timeout is outside group.min.session.timeout.ms and group.max.session.timeout.ms.',
  ),
  REBALANCE_IN_PROGRESS: fatal(27, 'The group is rebalancing, so the member has to join again.'),
  INVALID_COMMIT_OFFSET_SIZE: fatal(28, 'The commit is too large to be stored.'),
  TOPIC_AUTHORIZATION_FAILED: fatal(29, 'The principal has no access to the topic.'),
  GROUP_AUTHORIZATION_FAILED: fatal(30, 'The principal has no access to the group.'),
  CLUSTER_AUTHORIZATION_FAILED: fatal(31, 'The principal has no access to the cluster.'),
  INVALID_TIMESTAMP: fatal(32, "A record's timestamp is out of the range that the topic accepts."),
  UNSUPPORTED_SASL_MECHANISM: fatal(33, 'The broker does not offer this SASL mechanism.'),
  ILLEGAL_SASL_STATE: fatal(34, 'The request is not valid at this point of the SASL exchange.'),
  UNSUPPORTED_VERSION: fatal(35, 'The broker does not support this version of the API.'),
  TOPIC_ALREADY_EXISTS: fatal(36, 'A topic with this name exists already.'),
  INVALID_PARTITIONS: fatal(37, 'The number of partitions is not valid.'),
  INVALID_REPLICATION_FACTOR: fatal(
    38,
    'The replication factor is below 1 or above the number of brokers.',
  ),
  INVALID_REPLICA_ASSIGNMENT: fatal(39, 'The assignment of replicas to brokers is not valid.'),
  INVALID_CONFIG: fatal(40, 'A configuration is not valid.'),
  NOT_CONTROLLER: retriable(41, 'This node is not the active controller.'),
  INVALID_REQUEST: fatal(42, 'The request contradicts itself or has a value that is not allowed.'),
  UNSUPPORTED_FOR_MESSAGE_FORMAT: fatal(
    43,
    'The message format on the broker does not support the request.',
  ),
  POLICY_VIOLATION: fatal(44, 'The request violates a policy that the broker enforces.'),
  OUT_OF_ORDER_SEQUENCE_NUMBER: fatal(
    45,
    "The producer's sequence number does not follow the last one.",
  ),
  DUPLICATE_SEQUENCE_NUMBER: fatal(46, 'The broker has this sequence number already.'),
  INVALID_PRODUCER_EPOCH: fatal(
    47,
    "The producer's epoch is older than the one that the broker knows.",
  ),
  INVALID_TXN_STATE: fatal(48, "The transaction's state does not allow the operation."),
  INVALID_PRODUCER_ID_MAPPING: fatal(
    49,
    'The producer id is not the one assigned to this transactional id.',
  ),
  INVALID_TRANSACTION_TIMEOUT: fatal(
    50,
    'The transaction timeout is above transaction.max.timeout.ms, or not positive.',
  ),
  CONCURRENT_TRANSACTIONS: retriable(
    51,
    'Another operation of the same transaction is still in progress.',
  ),
  TRANSACTION_COORDINATOR_FENCED: fatal(
    52,
    'The marker comes from a transaction coordinator that has been replaced.',
  ),
  TRANSACTIONAL_ID_AUTHORIZATION_FAILED: fatal(
    53,
    'The principal has no access to the transactional id.',
  ),
  SECURITY_DISABLED: fatal(54, 'Security features are not enabled on this broker.'),
  OPERATION_NOT_ATTEMPTED: fatal(
    55,
    'The operation was left out because another one of the same request failed.',
  ),
  KAFKA_STORAGE_ERROR: retriable(
    56,
    'The broker cannot reach the log directory of this partition.',
  ),
  LOG_DIR_NOT_FOUND: fatal(57, 'The broker has no such log directory.'),
  SASL_AUTHENTICATION_FAILED: fatal(58, 'Authentication failed.'),
  UNKNOWN_PRODUCER_ID: fatal(
    59,
    'The broker has no state for this producer id; its records may have been deleted.',
  ),
  REASSIGNMENT_IN_PROGRESS: fatal(60, 'A reassignment of the partition is in progress.'),
  DELEGATION_TOKEN_AUTH_DISABLED: fatal(61, 'Delegation tokens are not enabled.'),
  DELEGATION_TOKEN_NOT_FOUND: fatal(62, 'The broker does not know this delegation token.'),
  DELEGATION_TOKEN_OWNER_MISMATCH: fatal(
    63,
    "The principal is neither the token's owner nor a renewer.",
  ),
  DELEGATION_TOKEN_REQUEST_NOT_ALLOWED: fatal(
    64,
    'Token requests are not accepted on this kind of connection.',
  ),
  DELEGATION_TOKEN_AUTHORIZATION_FAILED: fatal(
    65,
    'The principal has no access to the delegation token.',
  ),
  DELEGATION_TOKEN_EXPIRED: fatal(66, 'The delegation token has expired.'),
  INVALID_PRINCIPAL_TYPE: fatal(67, 'The type of the principal is not supported.'),
  NON_EMPTY_GROUP: fatal(68, 'The group still has members.'),
  GROUP_ID_NOT_FOUND: fatal(69, 'There is no such group.'),
  FETCH_SESSION_ID_NOT_FOUND: retriable(70, 'The broker has no such fetch session.'),
  INVALID_FETCH_SESSION_EPOCH: retriable(71, "The fetch session's epoch is not the expected one."),
  LISTENER_NOT_FOUND: retriable(
    72,
    "The partition's leader has no listener of the name on which the request came.",
  ),
  TOPIC_DELETION_DISABLED: fatal(73, 'Deleting topics is switched off.'),
  FENCED_LEADER_EPOCH: retriable(74, "The request's leader epoch is older than the broker's."),
  UNKNOWN_LEADER_EPOCH: retriable(75, "The request's leader epoch is newer than the broker's."),
  UNSUPPORTED_COMPRESSION_TYPE: fatal(
    76,
    'The compression is not supported by this broker or in this version of the request.',
  ),
  STALE_BROKER_EPOCH: fatal(77, "The broker's epoch is not its current one."),
  OFFSET_NOT_AVAILABLE: retriable(78, 'The new leader does not know its high watermark yet.'),
  MEMBER_ID_REQUIRED: fatal(
    79,
    'The member has to join again with the id that this answer gives it.',
  ),
  PREFERRED_LEADER_NOT_AVAILABLE: retriable(80, 'The preferred leader is not available.'),
  GROUP_MAX_SIZE_REACHED: fatal(81, 'The group has as many members as it may have.'),
  FENCED_INSTANCE_ID: fatal(82, 'Another member has registered with the same group.instance.id.'),
  ELIGIBLE_LEADERS_NOT_AVAILABLE: retriable(
    83,
    'No replica that could lead the partition is available.',
  ),
  ELECTION_NOT_NEEDED: retriable(84, 'The partition has the leader that was asked for already.'),
  NO_REASSIGNMENT_IN_PROGRESS: fatal(85, 'No reassignment of the partition is in progress.'),
  GROUP_SUBSCRIBED_TO_TOPIC: fatal(
    86,
    'The group is subscribed to the topic, so its offsets cannot be deleted.',
  ),
  INVALID_RECORD: fatal(87, "A record failed the broker's validation."),
  UNSTABLE_OFFSET_COMMIT: retriable(
    88,
    'Offsets of a transaction in progress are not settled yet.',
  ),
  THROTTLING_QUOTA_EXCEEDED: retriable(
    89,
    'The quota is used up; the request may be repeated later.',
  ),
  PRODUCER_FENCED: fatal(90, 'A newer producer with the same transactional id has taken over.'),
  RESOURCE_NOT_FOUND: fatal(91, 'The request names something that does not exist.'),
  DUPLICATE_RESOURCE: fatal(
    92,
    'The request names something twice, or something that exists already.',
  ),
  UNACCEPTABLE_CREDENTIAL: fatal(93, 'The credential does not meet the requirements.'),
  INCONSISTENT_VOTER_SET: fatal(
    94,
    'The sender is not among the voters that this node knows, or the other way round.',
  ),
  INVALID_UPDATE_VERSION: fatal(95, "The update's version is not valid."),
  FEATURE_UPDATE_FAILED: fatal(96, 'The finalized features could not be updated.'),
  PRINCIPAL_DESERIALIZATION_FAILURE: fatal(97, 'The forwarded principal could not be decoded.'),
  SNAPSHOT_NOT_FOUND: fatal(98, 'There is no such snapshot.'),
  POSITION_OUT_OF_RANGE: fatal(99, 'The position lies outside the snapshot.'),
  UNKNOWN_TOPIC_ID: retriable(100, 'This broker does not host a topic with this id.'),
  DUPLICATE_BROKER_REGISTRATION: fatal(101, 'Another broker with this id is registered and alive.'),
  BROKER_ID_NOT_REGISTERED: fatal(102, 'No broker with this id is registered.'),
  INCONSISTENT_TOPIC_ID: retriable(103, "The topic's id in the log is not the one in the request."),
  INCONSISTENT_CLUSTER_ID: fatal(104, 'The cluster id is not that of this cluster.'),
  TRANSACTIONAL_ID_NOT_FOUND: fatal(105, 'There is no such transactional id.'),
  FETCH_SESSION_TOPIC_ID_ERROR: retriable(
    106,
    'The fetch session mixes requests with and without topic ids.',
  ),
  INELIGIBLE_REPLICA: fatal(
    107,
    'The new set of in-sync replicas names a replica that may not be in it.',
  ),
  NEW_LEADER_ELECTED: fatal(108, 'The change was made and moved the leadership to another broker.'),
  OFFSET_MOVED_TO_TIERED_STORAGE: fatal(109, 'The offset is kept in remote storage.'),
  FENCED_MEMBER_EPOCH: fatal(
    110,
    "The member's epoch is not accepted; it has to leave its partitions and join again.",
  ),
  UNRELEASED_INSTANCE_ID: fatal(111, 'Another member still uses the instance id.'),
  UNSUPPORTED_ASSIGNOR: fatal(112, "The group's protocol does not support this assignor."),
  STALE_MEMBER_EPOCH: fatal(
    113,
    "The member's epoch is older than the current one; it has to heartbeat before it tries again.",
  ),
  MISMATCHED_ENDPOINT_TYPE: fatal(
    114,
    'The request went to an endpoint of the other kind, broker or controller.',
  ),
  UNSUPPORTED_ENDPOINT_TYPE: fatal(115, 'This kind of endpoint is not supported.'),
  UNKNOWN_CONTROLLER_ID: fatal(116, 'There is no controller with this id.'),
  UNKNOWN_SUBSCRIPTION_ID: fatal(
    117,
    'The telemetry subscription has changed; the client has to ask for the current one.',
  ),
  TELEMETRY_TOO_LARGE: fatal(118, 'The pushed metrics are larger than the broker accepts.'),
  INVALID_REGISTRATION: fatal(119, 'The controller considers the registration invalid.'),
  TRANSACTION_ABORTABLE: fatal(120, 'The transaction met an error that aborting it resolves.'),
  INVALID_RECORD_STATE: fatal(121, "The record's state does not allow this acknowledgement."),
  SHARE_SESSION_NOT_FOUND: retriable(122, 'The broker has no such share session.'),
  INVALID_SHARE_SESSION_EPOCH: retriable(123, "The share session's epoch is not the expected one."),
  FENCED_STATE_EPOCH: fatal(124, "The share group's state epoch is not the current one."),
  INVALID_VOTER_KEY: fatal(
    125,
    "The voter's id and directory id do not go with the receiving replica.",
  ),
  DUPLICATE_VOTER: fatal(126, 'The voter belongs to the set of voters already.'),
  VOTER_NOT_FOUND: fatal(127, 'The set of voters has no such voter.'),
  INVALID_REGULAR_EXPRESSION: fatal(128, 'The regular expression is not valid.'),
  REBOOTSTRAP_REQUIRED: fatal(
    129,
    "The client's metadata is out of date; it has to start from its bootstrap servers again.",
  ),
  STREAMS_INVALID_TOPOLOGY: fatal(130, 'The topology that was sent is not valid.'),
  STREAMS_INVALID_TOPOLOGY_EPOCH: fatal(131, "The topology's epoch is not valid."),
  STREAMS_TOPOLOGY_FENCED: fatal(132, "The topology's epoch is older than the group's."),
  SHARE_SESSION_LIMIT_REACHED: retriable(133, 'The broker holds as many share sessions as it may.'),
}

export type ErrorName = keyof typeof sentences

/** The errors by name, in the order of their codes. */
export const errors = Object.fromEntries(
  Object.entries(sentences).map(([name, row]) => [name, Object.freeze({ name, ...row })]),
) as { readonly [Name in ErrorName]: ErrorRow }

const rowsByCode = new Map<number, ErrorRow>(Object.values(errors).map((row) => [row.code, row]))

/** The row of a code; a code from a newer Kafka counts as UNKNOWN_SERVER_ERROR. */
export function errorByCode(code: number): ErrorRow {
  return rowsByCode.get(code) ?? errors.UNKNOWN_SERVER_ERROR
}

/**
 * A request that fails as a whole, or a part of it, with one of Kafka's errors. It is an answer and has no
 * stack: a request may have 100 000 of them, and noting down the calls takes most of their time.
 */
export class KafkaError extends Error {
  readonly error: ErrorRow

  constructor(error: ErrorRow, message: string = error.message, options?: ErrorOptions) {
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    super(message, options)
    Error.stackTraceLimit = stackTraceLimit
    this.name = 'KafkaError'
    this.error = error
  }
}

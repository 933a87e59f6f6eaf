/** The settings that transaction coordination follows, named as Kafka's; times in milliseconds. */
export interface TransactionCoordinatorConfig {
  /** add.partitions.to.txn.retry.backoff.max.ms: how long partitions wait for the transaction before. */
  readonly addPartitionsRetryMaxMs: number
  /** transaction.abort.timed.out.transaction.cleanup.interval.ms */
  readonly abortTimedOutIntervalMs: number
  /** transaction.max.timeout.ms */
  readonly transactionMaxTimeoutMs: number
  /** transaction.remove.expired.transaction.cleanup.interval.ms */
  readonly removeExpiredIntervalMs: number
  /** transaction.two.phase.commit.enable */
  readonly isTwoPhaseCommitEnabled: boolean
  /** transactional.id.expiration.ms */
  readonly transactionalIdExpirationMs: number
  /** request.timeout.ms: how long an answer waits for its record. */
  readonly requestTimeoutMs: number
  /** The finalized level of transaction.version, 0 to 2. */
  readonly transactionVersion: number
}

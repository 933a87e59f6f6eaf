/**
 * The settings that the share coordinator follows, named as Kafka's, in camelCase; times in
 * milliseconds.
 */
export interface ShareCoordinatorConfig {
  /** share.coordinator.snapshot.update.records.per.snapshot. */
  readonly snapshotUpdateRecordsPerSnapshot: number
  /** share.coordinator.write.timeout.ms. */
  readonly writeTimeoutMs: number
  /**
   * share.coordinator.state.topic.compression.codec: the code of a compression type, as in a batch's
   * attributes.
   */
  readonly stateTopicCompressionCodec: number
  /** share.coordinator.state.topic.prune.interval.ms. */
  readonly stateTopicPruneIntervalMs: number
  /** share.coordinator.cold.partition.snapshot.interval.ms. */
  readonly coldPartitionSnapshotIntervalMs: number
}

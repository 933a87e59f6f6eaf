/** What is wrong with groups, metadata and transactions. */
import type { Mutation } from './mutation.ts'

export const coordination: readonly Mutation[] = [
  {
    name: 'commit-answered-early',
    breaks: 'a group is answered before its records are written',
    file: 'src/coordinator/shard-runtime.ts',
    find: 'if (batch === undefined) {',
    replace: 'if (batch === undefined || decision.records.length > 0) {',
  },
  {
    name: 'last-commit-not-loaded',
    breaks: 'the last record of an offsets partition is not replayed at a restart',
    file: 'src/coordinator/load.ts',
    find: 'const endOffset = log.logEndOffset',
    replace: 'const endOffset = log.logEndOffset - 1',
  },
  {
    name: 'old-generation-commits',
    breaks: 'a member of an earlier generation may commit offsets',
    file: 'src/coordinator/group/classic/validation.ts',
    find: 'return generationId === group.generationId ? null : errors.ILLEGAL_GENERATION',
    replace: 'return generationId <= group.generationId ? null : errors.ILLEGAL_GENERATION',
  },
  {
    name: 'partition-given-before-released',
    breaks: 'a member of a newer group gets what another has not let go of yet',
    file: 'src/coordinator/group/modern/reconciliation.ts',
    find: 'if (isHeld(topicId, partition)) {',
    replace: 'if (isHeld(topicId, -1 - partition)) {',
  },
  {
    name: 'acknowledgement-not-stored',
    breaks: 'what is acknowledged in a share group is answered and not stored',
    file: 'src/replication/share/share-partition.ts',
    find: 'const failure = await this.#write(verdict.runs)',
    replace: 'const failure = await this.#write([])',
  },
  {
    name: 'deadline-lost',
    breaks: 'a deadline that was moved back never passes',
    file: 'src/coordinator/deadlines.ts',
    find: 'this.#wait(Math.ceil(remainingMs))',
    replace: '',
  },
  {
    name: 'deadline-not-moved',
    breaks: 'a deadline passes when it was first to pass, although it was moved back',
    file: 'src/coordinator/deadlines.ts',
    find: 'if (remainingMs > 0) {',
    replace: 'if (remainingMs > Number.MAX_SAFE_INTEGER) {',
  },
  {
    name: 'metadata-answered-before-sync',
    breaks: 'changes of the metadata are answered before they are durable',
    file: 'src/raft/quorum.ts',
    find: 'this.#flush = this.log.sync().then(',
    replace: 'this.#flush = Promise.resolve().then(',
  },
  {
    name: 'last-metadata-record-lost',
    breaks: 'the last record of the metadata log is not replayed at a restart',
    file: 'src/metadata/load.ts',
    find:
      'while (loader.image.offset + 1 < log.endOffset) {\n' +
      '    const from = loader.image.offset + 1\n' +
      '    try {\n' +
      '      for (const chunk of await log.read(from, chunkBytes))',
    // Batch by batch: a read of many would come to the end all the same.
    replace:
      'while (loader.image.offset + 2 < log.endOffset) {\n' +
      '    const from = loader.image.offset + 1\n' +
      '    try {\n' +
      '      for (const chunk of await log.read(from, 1))',
  },
  {
    name: 'record-after-snapshot-lost',
    breaks: 'the first record after a metadata snapshot is not replayed at a restart',
    file: 'src/metadata/load.ts',
    find: 'loader.loadSnapshot(content, file.endOffset - 1, file.epoch',
    replace: 'loader.loadSnapshot(content, file.endOffset, file.epoch',
  },
  {
    name: 'offsets-read-before-commit',
    breaks: 'readers of offsets are told of those that are still to be written',
    file: 'src/coordinator/shard-runtime.ts',
    find: 'if (batch === undefined) {',
    replace: 'if (batch === undefined || decision.records.length === 0) {',
  },
  {
    name: 'leader-epoch-kept',
    breaks: 'after a crash the leader epoch is that of the process before',
    file: 'src/metadata/controller/register-broker.ts',
    find: '          leader: brokerId,\n',
    replace: '          leader: partition.leader === brokerId ? -2 : brokerId,\n',
  },
]

export const transactions: readonly Mutation[] = [
  {
    name: 'uncommitted-read',
    breaks: 'readers of committed records are given all up to the high watermark',
    file: 'src/replication/partition.ts',
    find: 'return isReadCommitted ? this.lastStableOffset : this.highWatermark',
    replace: 'return this.highWatermark',
  },
  {
    name: 'aborted-not-listed',
    breaks: 'readers of committed records are not told which transactions were aborted',
    file: 'src/handlers/fetch.ts',
    find: 'answer.abortedTransactions = reader.abortedTransactions(fetchOffset, read.nextOffset)',
    replace: '',
  },
  {
    name: 'aborted-forgotten-at-restart',
    breaks: 'a damaged or missing transaction index is not made again from the log',
    file: 'src/log/producer-rebuild.ts',
    find: 'if (where === segment) found.push(aborted)',
    replace: '',
  },
  {
    name: 'open-forgotten-at-restart',
    breaks: 'recovery takes transactions that a producer snapshot has as open for ended',
    file: 'src/log/producer-states.ts',
    find: 'transactionFirstOffset: entry.currentTxnFirstOffset,',
    replace: 'transactionFirstOffset: -1,',
  },
  {
    name: 'decision-forgotten-at-load',
    breaks: 'what was decided before a restart is not carried out after it',
    file: 'src/coordinator/transaction/transaction-shard.ts',
    find: 'if (isDecided(transaction)) this.#delivery.deliver(transactionalId, transaction)',
    replace: '',
  },
  {
    name: 'marker-given-up',
    breaks: 'a partition that cannot take its marker now never gets one',
    file: 'src/coordinator/transaction/marker-delivery.ts',
    find: 'errors.NONE,\n  // A later epoch',
    replace:
      'errors.NONE,\n  errors.KAFKA_STORAGE_ERROR,\n  errors.NOT_LEADER_OR_FOLLOWER,\n' +
      '  errors.UNKNOWN_TOPIC_OR_PARTITION,\n  // A later epoch',
  },
  {
    name: 'marker-always-aborts',
    breaks: 'the markers of a commit abort',
    file: 'src/coordinator/transaction/marker-delivery.ts',
    find: "isCommit: transaction.state === 'PrepareCommit',",
    replace: 'isCommit: false,',
  },
  {
    name: 'one-partition-without-marker',
    breaks: 'of the partitions of a topic the last one gets no marker',
    file: 'src/coordinator/transaction/marker-delivery.ts',
    find: '[...transaction.partitions].map(([topic, ids]) => [topic, new Set(ids)]),',
    replace:
      '[...transaction.partitions].map(([topic, ids]) => ' +
      '[topic, new Set([...ids].slice(0, Math.max(1, ids.size - 1)))]),',
  },
  {
    name: 'transaction-never-too-long',
    breaks: 'a transaction that its producer has left alone stays open',
    file: 'src/coordinator/transaction/time-limits.ts',
    find: 'return this.#clock.monotonic() > this.#limitOf(transactionalId, transaction).endMs',
    replace: 'return this.#limitOf(transactionalId, transaction).endMs < 0',
  },
  {
    name: 'transaction-too-soon-too-long',
    breaks: 'transactions are aborted after half their time',
    file: 'src/coordinator/transaction/time-limits.ts',
    find: 'Math.min(Math.max(leftMs, 0), timeoutMs)',
    replace: 'Math.min(Math.max(leftMs, 0), timeoutMs) / 2',
  },
  {
    name: 'coordinator-fence-dropped',
    breaks: 'a fenced producer may add partitions, and write, to the transaction of its successor',
    file: 'src/coordinator/transaction/add-partitions.ts',
    find: 'return transaction.producerEpoch === producerEpoch ? errors.NONE : errors.PRODUCER_FENCED',
    replace:
      'return transaction.producerEpoch >= producerEpoch ? errors.NONE : errors.PRODUCER_FENCED',
  },
  {
    name: 'fenced-producer-ends',
    breaks: 'a fenced producer may end the transaction of its successor',
    file: 'src/coordinator/transaction/end-transaction.ts',
    find: 'if (before.producerEpoch !== end.producerEpoch) return unchanged(errors.PRODUCER_FENCED)',
    replace: '',
  },
  {
    name: 'new-producer-fences-nobody',
    breaks: 'a producer that takes the place of another one leaves its transaction open',
    file: 'src/coordinator/transaction/init-producer.ts',
    find: "before.state === 'Ongoing'",
    replace: "before.state === 'Dead'",
  },
  {
    name: 'offsets-before-commit',
    breaks: 'offsets that are a part of a transaction count before it commits',
    file: 'src/coordinator/group/group-shard.ts',
    find: 'this.offsets.setPending(producerId, groupId, topic, partition, value)',
    replace: 'this.offsets.set(groupId, topic, partition, value)',
  },
  {
    name: 'offsets-of-aborted',
    breaks: 'offsets that are a part of a transaction count although it is aborted',
    file: 'src/coordinator/group/offsets.ts',
    find: 'if (!isCommit || offset === undefined) continue',
    replace: 'if (offset === undefined) continue',
  },
  {
    name: 'stable-past-open',
    breaks: 'readers of committed records are given those of open transactions',
    file: 'src/log/log.ts',
    find: 'const unstable = this.#producers.firstUnstableOffset ?? this.#highWatermark',
    replace: 'const unstable = this.#highWatermark',
  },
  {
    name: 'stable-up-to-newest-open',
    breaks: 'of several open transactions only the newest holds readers back',
    file: 'src/log/producer-states.ts',
    find: 'let first = firstKey(this.#open)',
    replace: 'let first = [...this.#open.keys()].at(-1) ?? null',
  },
  {
    name: 'marker-of-older-epoch',
    breaks: 'markers carry the epoch before that of their transaction',
    file: 'src/coordinator/transaction/marker-delivery.ts',
    find: 'producerEpoch: transaction.producerEpoch,',
    replace: 'producerEpoch: Math.max(0, transaction.producerEpoch - 1),',
  },
]

/**
 * The ways in which `npm run mutate` breaks the product: each a wrong program that somebody might have
 * written, and that the simulator has to tell from the right one. A row names the text that it replaces,
 * which occurs once in its file; `test/mutations.test.ts` sees to it that it still does.
 */

export interface Mutation {
  readonly name: string
  /** What is wrong with the product then. */
  readonly breaks: string
  readonly file: string
  readonly find: string
  readonly replace: string
}

const acknowledgements: readonly Mutation[] = [
  {
    name: 'acknowledged-before-write',
    breaks: 'records are acknowledged when they are queued, before they are written or synced',
    file: 'src/log/log.ts',
    find: 'written: this.#end.written,',
    replace: 'written: Promise.resolve(),',
  },
  {
    name: 'sync-forgotten',
    breaks: 'with flush.messages=1 records are acknowledged without the sync',
    file: 'src/log/group-commit.ts',
    find: 'this.#target.sync().then(',
    replace: 'Promise.resolve().then(',
  },
  {
    name: 'sync-one-record-late',
    breaks: 'flush.messages counts one too many, so that a single record is not synced',
    file: 'src/log/durability.ts',
    find: 'writtenOffset() - segments.recoveryPoint >= flushMessages',
    replace: 'writtenOffset() - segments.recoveryPoint > flushMessages',
  },
  {
    name: 'readable-before-sync',
    breaks: 'the high watermark moves before the sync: what is read may be lost',
    file: 'src/log/group-commit.ts',
    find: 'this.#target.write()',
    replace:
      'this.#target.write()\n      this.#target.complete(group)\n      group.appended.length = 0',
  },
  {
    name: 'failed-sync-acknowledged',
    breaks: 'a sync that failed counts as one that succeeded',
    file: 'src/log/segments.ts',
    find: 'await Promise.all(dirty.map((segment) => segment.sync()))',
    replace: 'await Promise.allSettled(dirty.map((segment) => segment.sync()))',
  },
  {
    name: 'failed-write-acknowledged',
    breaks: 'records that could not be written are acknowledged',
    file: 'src/handlers/produce.ts',
    find: 'answer.errorCode = errors.KAFKA_STORAGE_ERROR.code',
    replace: '',
  },
  {
    name: 'failed-disk-used-on',
    breaks: 'after an I/O error the directory is not fenced: a failed sync is tried again',
    file: 'src/log/fenced-disk.ts',
    find: "const deviceErrors = new Set([\n  'EIO',",
    replace: 'const deviceErrors = new Set([',
  },
  {
    name: 'acknowledged-at-wrong-offset',
    breaks: 'of two appends in one turn the second is acknowledged with the offset of the first',
    file: 'src/log/log.ts',
    find: 'return this.#result(baseOffset, lastOffset, isStamped ? now : -1)',
    replace: 'return this.#result(this.logEndOffset, lastOffset, isStamped ? now : -1)',
  },
  {
    name: 'appends-overlap',
    breaks: 'two appends in one turn get the same offsets',
    file: 'src/log/log.ts',
    find: 'const lastOffset = assignOffsets(bytes, baseOffset, leaderEpoch)',
    replace:
      "const base = origin === 'client' ? this.logEndOffset : baseOffset\n" +
      '    const lastOffset = assignOffsets(bytes, base, leaderEpoch)',
  },
  {
    name: 'roll-loses-queue',
    breaks: 'what is queued when a segment is rolled is never written',
    file: 'src/log/log-end.ts',
    find: 'this.write()\n    snapshots.take(',
    replace: 'snapshots.take(',
  },
]

const producers: readonly Mutation[] = [
  {
    name: 'sequence-unchecked',
    breaks: 'a batch out of sequence is taken',
    file: 'src/log/producer-states.ts',
    find: "if (how === 'sequence') this.#checkSequence(state, batch)",
    replace: '',
  },
  {
    name: 'one-batch-remembered',
    breaks: 'of the last five batches of a producer only the last is known when it comes again',
    file: 'src/log/producer-states.ts',
    find: 'const batchesKept = 5',
    replace: 'const batchesKept = 1',
  },
  {
    name: 'duplicate-at-wrong-offset',
    breaks: 'a batch sent twice is acknowledged with its last offset',
    file: 'src/log/log.ts',
    find: 'this.#result(lastOffset - offsetDelta, lastOffset, timestamp)',
    replace: 'this.#result(lastOffset, lastOffset, timestamp)',
  },
  {
    name: 'producer-snapshot-ignored',
    breaks: 'recovery knows only the producers that wrote after the newest snapshot',
    file: 'src/log/producer-rebuild.ts',
    find: 'producers.load(snapshot?.entries ?? [], now)',
    replace: 'producers.load([], now)',
  },
  {
    name: 'producers-not-replayed',
    breaks: 'recovery knows only the producers in the newest snapshot',
    file: 'src/log/producer-rebuild.ts',
    find: 'const completed = applyBatch(producers, buffer, at)',
    replace: 'const completed = null as ReturnType<typeof applyBatch>',
  },
  {
    name: 'producer-snapshot-not-synced',
    breaks: 'retention takes batches whose producers only a snapshot knows that is not durable',
    file: 'src/log/producer-snapshot.ts',
    find: '      await file.sync()\n',
    replace: '',
  },
  {
    name: 'producer-ids-given-twice',
    breaks: 'the next block of producer ids is not recorded: after a restart they are given again',
    file: 'src/metadata/controller/allocate-producer-ids.ts',
    find: 'const nextProducerId = first + producerIdBlockSize',
    replace: 'const nextProducerId = first',
  },
]

const memory: readonly Mutation[] = [
  {
    name: 'request-memory-reused',
    breaks: 'the memory of a request is given back before its records are written',
    file: 'src/handlers/produce.ts',
    find: 'const written = this.#afterWrites()',
    replace: 'this.#context.releaseRequest()\n    const written = this.#afterWrites()',
  },
  {
    name: 'reply-memory-reused',
    breaks: 'the memory of a reply is given back before it is sent',
    file: 'src/server/connection.ts',
    find: 'const onSent = this.#output.length === 0 ? this.#takeLent() : undefined',
    replace: 'this.#takeLent()?.()\n    const onSent = undefined',
  },
  {
    name: 'large-frame-loses-start',
    breaks: 'when the buffer of a large frame grows, what has come of it is not copied',
    file: 'src/server/frames.ts',
    find: 'started.copy(frame, 0, 0, this.#filled)',
    replace: '',
  },
  {
    name: 'unread-chunk-not-copied',
    breaks: 'what a paused connection has not looked at is kept without its bytes',
    file: 'src/server/frames.ts',
    find: 'chunk.copy(kept, 0, from)',
    replace: '',
  },
  {
    name: 'replies-overtake',
    breaks: 'a reply that is ready at once overtakes those of earlier requests',
    file: 'src/server/connection.ts',
    find: 'if (exchange.isSettled && this.#exchanges.length === 0) this.#send(exchange)',
    replace: 'if (exchange.isSettled) this.#send(exchange)',
  },
  {
    name: 'checksum-unchecked',
    breaks: 'batches with a wrong checksum are taken from producers',
    file: 'src/log/validation.ts',
    find: 'if (!header.isCrcValid(records, at)) {',
    replace: 'if (header.recordCount(records, at) < 0) {',
  },
]

const reads: readonly Mutation[] = [
  {
    name: 'tail-skips-batch',
    breaks: 'a read from memory at the last offset of a batch begins with the next',
    file: 'src/log/tail-cache.ts',
    find: '.lastOffset < offset) low = middle + 1',
    replace: '.lastOffset <= offset) low = middle + 1',
  },
  {
    name: 'tail-overwritten',
    breaks: 'the oldest batches in memory are overwritten while they are still served',
    file: 'src/log/tail-cache.ts',
    find: 'this.#makeRoom()\n    this.ring',
    replace: 'this.ring',
  },
  {
    name: 'disk-read-skips-batch',
    breaks: 'a read from disk at the last offset of a batch begins with the next',
    file: 'src/log/segment-read.ts',
    find: 'if (last >= options.offset) return takeFrom(',
    replace: 'if (last > options.offset) return takeFrom(',
  },
  {
    name: 'reader-follows-another',
    breaks: 'a read below the place where the last one ended begins there',
    file: 'src/log/segment-contents.ts',
    find: 'next.link.lastOffset + 1 === offset',
    replace: 'next.link.lastOffset + 1 >= offset',
  },
  {
    name: 'lookup-passes-equal-timestamp',
    breaks: 'the offset for a timestamp is that of the first record after it',
    file: 'src/log/timestamp-lookup.ts',
    find: 'record.timestamp >= timestamp &&',
    replace: 'record.timestamp > timestamp &&',
  },
  {
    name: 'time-index-one-too-far',
    breaks: 'a lookup by timestamp begins at the index entry after the right one',
    file: 'src/log/time-index.ts',
    find: 'entry < 0 ? null : this.#entry(entry)',
    replace: 'entry < 0 ? null : this.#entry(Math.min(entry + 1, this.#file.count - 1))',
  },
]

const recovery: readonly Mutation[] = [
  {
    name: 'recovery-checks-no-checksum',
    breaks: 'recovery takes torn batches for whole ones',
    file: 'src/log/recovery.ts',
    find: ' || !isSound(buffer, at)) return false',
    replace: ') return false',
  },
  {
    name: 'recovery-keeps-torn-tail',
    breaks: 'recovery finds the torn end of a segment and leaves it there',
    file: 'src/log/recovery.ts',
    find: '\n  segment.cut(size)',
    replace: '',
  },
  {
    name: 'recovery-cuts-last-batch',
    breaks: 'the last whole batch of a file counts as torn',
    file: 'src/log/scan.ts',
    find: 'if (size === 0 || position + at + size > to) return position + at',
    replace: 'if (size === 0 || position + at + size >= to) return position + at',
  },
  {
    name: 'recovery-reads-last-segment-only',
    breaks: 'recovery trusts all segments but the last, whatever the recovery point says',
    file: 'src/log/recovery.ts',
    find: 'let index = segments.findIndex((_, at) => endOf(at) >= recoveryPoint)',
    replace: 'let index = segments.length - 1',
  },
  {
    name: 'recovery-point-before-sync',
    breaks: 'the recovery point moves when a sync begins, not when it has ended',
    file: 'src/log/segments.ts',
    find: 'const offset = endOffset()',
    replace:
      'const offset = endOffset()\n    this.#recoveryPoint = Math.max(this.#recoveryPoint, offset)',
  },
  {
    name: 'segment-name-not-synced',
    breaks: 'the directory is not synced when it has a new segment',
    file: 'src/log/segments.ts',
    find: 'this.#hasNewNames = false\n    this.#disk.syncDirectory(this.#directory)\n',
    replace: 'this.#hasNewNames = false\n',
  },
  {
    name: 'partition-name-not-synced',
    breaks: 'the log directory is not synced when it has a new partition',
    file: 'src/log/segments.ts',
    find: 'this.#disk.syncDirectory(parentOf(this.#directory))',
    replace: '',
  },
  {
    name: 'clean-mark-stays',
    breaks: 'the clean-shutdown file is not removed at start: a crash passes for a clean stop',
    file: 'src/log/log-directory.ts',
    find: 'else this.#disk.remove(path)',
    replace: '',
  },
  {
    name: 'close-without-sync',
    breaks: 'a stop counts as clean although the last batches were not synced',
    file: 'src/log/log.ts',
    find: 'this.#segments.active.persistIndexes()\n      await this.#end.sync()',
    replace: 'this.#segments.active.persistIndexes()',
  },
  {
    name: 'replaced-file-not-synced',
    breaks: 'checkpoints and properties take their names before their content is durable',
    file: 'src/log/checkpoints.ts',
    find: 'if (options.sync) file.syncNow()',
    replace: '',
  },
]

const deletion: readonly Mutation[] = [
  {
    name: 'log-start-not-stored',
    breaks: 'after a restart the records that DeleteRecords took are back',
    file: 'src/log/offset-checkpoints.ts',
    find: 'if (offsets[key] > unwritten)',
    replace: "if (offsets[key] > unwritten && key !== 'logStartOffset')",
  },
  {
    name: 'retention-takes-one-more',
    breaks: 'retention by size leaves less than retention.bytes',
    file: 'src/log/retention.ts',
    find: 'excess - segment.size >= 0',
    replace: 'excess > 0',
  },
  {
    name: 'retention-by-first-record',
    breaks: 'retention by time looks at the first record of a segment, not at the newest',
    file: 'src/log/retention.ts',
    find: 'segment.maxTimestamp >= 0 ? segment.maxTimestamp',
    replace: 'segment.firstTimestamp >= 0 ? segment.firstTimestamp',
  },
  {
    name: 'deleted-topic-keeps-directory',
    breaks: 'the directory of a deleted topic keeps its name: its successor finds it',
    file: 'src/log/log-directory.ts',
    find: 'this.#disk.rename(`${this.path}/${name}`, `${this.path}/${renamed}`)',
    replace: '',
  },
  {
    name: 'deleted-topic-keeps-offsets',
    breaks: 'a topic made again begins where the deleted one began',
    file: 'src/log/log-directory.ts',
    find: 'this.#disk.forgetPartition(name)\n    this.#checkpoints?.forget(name)',
    replace: 'this.#disk.forgetPartition(name)',
  },
]

const coordination: readonly Mutation[] = [
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
]

const transactions: readonly Mutation[] = [
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
    find: 'answer.abortedTransactions = partition.log.abortedTransactions(fetchOffset, read.nextOffset)',
    replace: '',
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
]

export const mutations: readonly Mutation[] = [
  ...acknowledgements,
  ...producers,
  ...memory,
  ...reads,
  ...recovery,
  ...deletion,
  ...coordination,
  ...transactions,
]

/** The source with the mutation in it. Throws Error where its text does not occur exactly once. */
export function mutated(source: string, { name, file, find, replace }: Mutation): string {
  const parts = source.split(find)
  if (parts.length !== 2) {
    const found = `${JSON.stringify(find)} occurs ${parts.length - 1} times in ${file}`
    throw new Error(`mutation ${name} no longer applies: ${found}, not once`)
  }
  return parts.join(replace)
}

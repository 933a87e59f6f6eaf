/** What is wrong with logs on the disk: how they are read, recovered, cut short and compacted. */
import type { Mutation } from './mutation.ts'

export const reads: readonly Mutation[] = [
  {
    name: 'cut-log-read-on',
    breaks:
      'a consumer reads on at its offset, or that of its group, in a log that was cut below it',
    file: 'src/client/reading.ts',
    find: 'if (isKnown && leaderEpoch !== this.leaderEpoch) return false',
    replace: '',
  },
  {
    name: 'session-stands-still',
    breaks: 'in a fetch session the broker does not follow where the reader has gone on',
    file: 'src/replication/fetch-session.ts',
    find: 'partition.update(requested)',
    replace: '',
  },
  {
    name: 'session-sleeps-on',
    breaks:
      'in a fetch session a partition that rested, having nothing new, is never looked at again',
    file: 'src/replication/fetch-session.ts',
    find: 'const waiting = this.#session?.stir(this)',
    replace: 'const waiting = undefined as SmallSet<PartitionWatcher> | undefined',
  },
  {
    name: 'session-leaves-out-news',
    breaks:
      'in a fetch session a partition whose end the reader knows is left out, with its records',
    file: 'src/handlers/fetch.ts',
    find: 'if (read.bytes === 0 && this.#session.omits(',
    replace: 'if (this.#session.omits(',
  },
  {
    name: 'tail-skips-batch',
    breaks: 'a read from memory at the last offset of a batch begins with the next',
    file: 'src/log/tail-cache.ts',
    find: 'lastOffsetAt) < offset) low = middle + 1',
    replace: 'lastOffsetAt) <= offset) low = middle + 1',
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

export const recovery: readonly Mutation[] = [
  {
    name: 'recovery-checks-no-checksum',
    breaks: 'recovery takes torn batches for whole ones',
    file: 'src/log/read-back.ts',
    find: ' || !isSound(buffer, at)) return false',
    replace: ') return false',
  },
  {
    name: 'recovery-keeps-torn-tail',
    breaks: 'recovery finds the torn end of a segment and leaves it there',
    file: 'src/log/read-back.ts',
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
    file: 'src/log/read-back.ts',
    find: 'let index = segments.findIndex((_, at) => endOf(at) >= recoveryPoint)',
    replace: 'let index = segments.length - 1',
  },
  {
    name: 'recovery-resumes-without-producers',
    breaks: 'recovery that begins within a segment forgets the producers of what it leaves out',
    file: 'src/log/read-back.ts',
    find: 'snapshotMax = resumed?.snapshotOffset ?? fromOffset',
    replace: 'snapshotMax = resumed === null ? fromOffset : first.baseOffset',
  },
  {
    name: 'recovery-resumes-without-times',
    breaks:
      'recovery that begins within a segment forgets the newest timestamp of what it leaves out',
    file: 'src/log/segment-contents.ts',
    find: 'const time = how.from === undefined ? null : this.indexes.times.last',
    replace: 'const time = null as typeof this.indexes.times.last',
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
    find: 'this.#disk.syncDirectoryAsync(this.#directory),',
    replace: '',
  },
  {
    name: 'partition-name-not-synced',
    breaks: 'the log directory is not synced when it has a new partition',
    file: 'src/log/segments.ts',
    find: 'isDirectoryNew ? this.#disk.syncDirectoryAsync(parentOf(this.#directory)) : undefined,',
    replace: '',
  },
  {
    name: 'clean-mark-stays',
    breaks: 'the clean-shutdown file is not removed at start: a crash passes for a clean stop',
    file: 'src/log/clean-shutdown.ts',
    find: 'else disk.remove(path)',
    replace: '',
  },
  {
    name: 'close-without-sync',
    breaks: 'a stop counts as clean although the last batches were not synced',
    file: 'src/log/log.ts',
    find: 'await this.#end.sync()\n      await this.#segments.active.transactionIndex.sync()',
    replace: 'await this.#segments.active.transactionIndex.sync()',
  },
  {
    name: 'replaced-file-not-synced',
    breaks: 'checkpoints and properties take their names before their content is durable',
    file: 'src/log/checkpoints.ts',
    find: 'if (options.sync) file.syncNow()',
    replace: '',
  },
  {
    name: 'checkpoint-before-sync',
    breaks: 'checkpoints say that what is only written is durable',
    file: 'src/log/log.ts',
    find: 'return this.#segments.recoveryPoint\n',
    replace: 'return this.logEndOffset\n',
  },
]

export const deletion: readonly Mutation[] = [
  {
    name: 'log-start-not-stored',
    breaks: 'after a restart the records that DeleteRecords took are back',
    file: 'src/log/offset-checkpoints.ts',
    find: 'if (offsets[key] <= unwritten) continue',
    replace: "if (offsets[key] <= unwritten || key === 'logStartOffset') continue",
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
    file: 'src/log/partition-directories.ts',
    find: 'this.#options.disk.rename(this.#pathOf(name), this.#pathOf(renamed))',
    replace: '',
  },
  {
    name: 'deleted-topic-keeps-offsets',
    breaks: 'a topic made again begins where the deleted one began',
    file: 'src/log/log-inventory.ts',
    find: 'this.#unchecked.delete(name)\n    this.#checkpoints?.forget(name)',
    replace: 'this.#unchecked.delete(name)',
  },
]

export const compaction: readonly Mutation[] = [
  {
    name: 'compaction-drops-latest',
    breaks: 'compaction takes the last record of a key, and keeps those before it',
    file: 'src/log/compaction/batch-filter.ts',
    find: 'const isLast = lastOffsets.isLast(bytes, keyAt, keyLength, offset)',
    replace: 'const isLast = !lastOffsets.isLast(bytes, keyAt, keyLength, offset)',
  },
  {
    name: 'compaction-by-aborted',
    breaks: 'a record that was aborted counts as the last of its key',
    file: 'src/log/compaction/key-pass.ts',
    find: 'if (!isAborted) return this.#learn(bytes, at)',
    replace: 'if (!isAborted || lastOffset >= 0) return this.#learn(bytes, at)',
  },
  {
    name: 'compaction-past-stable',
    breaks: 'segments with records of open transactions are compacted',
    file: 'src/log/compaction/candidate.ts',
    find: 'if (segment.endOffset > lastStableOffset || isYoung) return segment.baseOffset',
    replace: 'if (isYoung) return segment.baseOffset',
  },
  {
    name: 'swap-before-sync',
    breaks: 'a compacted segment takes the place of its originals before it is durable',
    file: 'src/log/compaction/passes.ts',
    find: 'await cleaned.sync()\n',
    replace: '\n',
  },
  {
    name: 'swap-dropped-at-start',
    breaks: 'a start removes a compacted segment whose originals are gone, instead of taking it',
    file: 'src/log/segment-files.ts',
    find: 'name.endsWith(cleanedSuffix) || name.endsWith(deletedSuffix) || isUnfinished(name)',
    replace:
      'name.endsWith(cleanedSuffix) || name.endsWith(deletedSuffix) || name.endsWith(swapSuffix)',
  },
]

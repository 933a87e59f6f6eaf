/** What is wrong with taking records: when they are acknowledged, which producers are known, whose memory it is. */
import type { Mutation } from './mutation.ts'

export const acknowledgements: readonly Mutation[] = [
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
    find: 'this.#unlessGone(segment, segment.sync())',
    replace: 'segment.sync().catch(() => undefined)',
  },
  {
    name: 'failed-write-acknowledged',
    breaks: 'records that could not be written are acknowledged',
    file: 'src/handlers/produce-answers.ts',
    find: 'answer.errorCode = errors.KAFKA_STORAGE_ERROR.code',
    replace: '',
  },
  {
    name: 'failed-sync-tried-again',
    breaks: 'a sync that failed is done once more before its directory is fenced',
    file: 'src/log/fenced-disk.ts',
    find: 'await this.#file.sync()\n    } catch (error) {\n      throw this.#noteWriteError(error)',
    replace:
      'await this.#file.sync()\n    } catch (error) {\n' +
      '      await this.#file.sync().catch(() => {\n        throw this.#noteWriteError(error)\n      })',
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
    find: 'this.write()\n    if (isSyncedBeforeRoll) {',
    replace: 'if (isSyncedBeforeRoll) {',
  },
  {
    name: 'duplicate-acknowledged-early',
    breaks: 'a batch sent again is acknowledged while the first is still to be written or synced',
    file: 'src/log/log.ts',
    find: 'return { ...result, isDuplicate: true }',
    replace: 'return { ...result, isDuplicate: true, written: Promise.resolve() }',
  },
]

export const producers: readonly Mutation[] = [
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
    find: 'await syncFile(this.#disk, this.#path(offset))',
    replace: 'void syncFile',
  },
  {
    name: 'producer-ids-given-twice',
    breaks: 'the next block of producer ids is not recorded: after a restart they are given again',
    file: 'src/metadata/controller/allocate-producer-ids.ts',
    find: 'const nextProducerId = first + producerIdBlockSize',
    replace: 'const nextProducerId = first',
  },
  {
    name: 'older-epoch-writes',
    breaks: 'a log takes batches of an epoch that a later one has fenced',
    file: 'src/log/producer-states.ts',
    find: 'if (batch.producerEpoch < state.producerEpoch) {',
    replace: 'if (batch.producerEpoch < 0) {',
  },
]

export const memory: readonly Mutation[] = [
  {
    name: 'request-memory-reused',
    breaks: 'the memory of a request is given back before its records are written',
    file: 'src/handlers/produce.ts',
    find: 'if (first === undefined) return this.#afterWrites(answer)',
    replace:
      'if (first === undefined) return this.#afterWrites(answer)\n    this.#context.releaseRequest()',
  },
  {
    name: 'reply-memory-reused',
    breaks: 'the memory of a reply is given back before it is sent',
    file: 'src/server/send-queue.ts',
    find: 'const onSent = this.#chunks.length === 0 ? this.#takeLent() : undefined',
    replace: 'this.#takeLent()?.()\n    const onSent = undefined',
  },
  {
    name: 'large-frame-loses-start',
    breaks: 'when the buffer of a large frame grows, what has come of it is not copied',
    file: 'src/server/frames.ts',
    find: 'frame.copy(this.#larger, from, from, this.#movedBytes)',
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
    find: 'if (exchange.isSettled && this.#exchanges.length === 0) this.#send(exchange, nowMs)',
    replace: 'if (exchange.isSettled) this.#send(exchange, nowMs)',
  },
  {
    name: 'checksum-unchecked',
    breaks: 'batches with a wrong checksum are taken from producers',
    file: 'src/log/validation.ts',
    find: 'if (!header.isCrcValid(records, at)) {',
    replace: 'if (header.recordCount(records, at) < 0) {',
  },
]

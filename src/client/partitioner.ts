/**
 * Which partition a record goes to, decided as the Java producer decides it, so that producers in
 * any language put the same key into the same partition. Records with a key follow its murmur2
 * hash; records without one stick to a random partition until its batch is full (KIP-480), which
 * makes few large batches instead of many small ones.
 */

const seed = 0x9747b28c
const multiplier = 0x5bd1e995

/** Austin Appleby's MurmurHash2, 32 bits, with Kafka's seed. Returns a signed 32-bit integer. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  const wholeWords = length & ~3
  let hash = seed ^ length
  for (let at = 0; at < wholeWords; at += 4) {
    let word = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    word = Math.imul(word, multiplier)
    word ^= word >>> 24
    word = Math.imul(word, multiplier)
    hash = Math.imul(hash, multiplier) ^ word
  }
  const rest = length - wholeWords
  if (rest === 3) hash ^= bytes[wholeWords + 2]! << 16
  if (rest >= 2) hash ^= bytes[wholeWords + 1]! << 8
  if (rest >= 1) hash = Math.imul(hash ^ bytes[wholeWords]!, multiplier)
  hash ^= hash >>> 13
  hash = Math.imul(hash, multiplier)
  return hash ^ (hash >>> 15)
}

/** The partition of a record with a key. */
export function partitionOfKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fffffff) % partitionCount
}

/** The partition to which records without a key stick, per topic, until it is told to move on. */
export class StickyPartition {
  #current = -1

  /** `available` are the partitions that have a leader; never empty. */
  current(available: readonly number[], random: () => number): number {
    if (!available.includes(this.#current)) this.#move(available, random)
    return this.#current
  }

  /** A batch of `partition` is full: the next record goes elsewhere. */
  batchFull(partition: number, available: readonly number[], random: () => number): void {
    if (partition === this.#current) this.#move(available, random)
  }

  #move(available: readonly number[], random: () => number): void {
    const others = available.filter((partition) => partition !== this.#current)
    const choices = others.length > 0 ? others : available
    this.#current = choices[Math.floor(random() * choices.length)]!
  }
}

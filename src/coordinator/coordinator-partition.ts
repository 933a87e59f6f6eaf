/** Which partition of an internal topic a key belongs to: Kafka's rule, which clients rely on. */

export function coordinatorPartition(key: string, partitionCount: number): number {
  const hash = javaHashCode(key)
  // The one number whose negation does not fit in 32 bits counts as 0.
  const positive = hash === -0x8000_0000 ? 0 : Math.abs(hash)
  return positive % partitionCount
}

/** `String.hashCode` of Java: over UTF-16 units, in 32 bits. */
export function javaHashCode(text: string): number {
  let hash = 0
  for (let index = 0; index < text.length; index++) {
    hash = (Math.imul(hash, 31) + text.charCodeAt(index)) | 0
  }
  return hash
}

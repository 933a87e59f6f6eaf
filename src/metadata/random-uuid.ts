/** Random ids for topics and incarnations. */
import type { Uuid } from '../../protocol/types.ts'
import type { Random } from '../environment/environment.ts'

/** A random UUID (RFC 9562, version 4) in Kafka's form; none begins with '-', which tools take for an option. */
export function randomUuid(random: Random): Uuid {
  for (;;) {
    const bytes = random.bytes(16)
    bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
    bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
    const text = bytes.toString('base64url')
    if (!text.startsWith('-')) return text
  }
}

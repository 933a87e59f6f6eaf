/** Bytes that were right, made wrong in one place. */
import type { Random } from './generated-values.ts'

/** What lengths, counts and varints turn into when they lie. */
const treacherous = [
  [0xff, 0xff, 0xff, 0xff, 0x7f],
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff],
  [0x7f, 0xff, 0xff, 0xff],
  [0x80, 0x00, 0x00, 0x00],
  [0xff, 0xfe],
  [0x7f, 0xff],
  [0x00],
  [0xff],
]

/** Cut, repeated, spliced, one bit flipped, or a lie put in. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  const at = random(bytes.length + 1)
  switch (random(6)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return Buffer.concat([bytes, bytes.subarray(at)])
    case 2:
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(random(bytes.length + 1))])
    case 3: {
      const flipped = Buffer.from(bytes)
      if (at < bytes.length) flipped[at] = (flipped[at] as number) ^ (1 << random(8))
      return flipped
    }
    default: {
      const lie = treacherous[random(treacherous.length)] as number[]
      const rest = random(2) === 0 ? at : Math.min(bytes.length, at + lie.length)
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(lie), bytes.subarray(rest)])
    }
  }
}

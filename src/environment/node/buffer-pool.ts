/**
 * `Buffers` by size classes, the powers of two: what is given back waits in the list of its class, the
 * one used last on top, as that is still in the processor's cache. The lists hold a bounded number of
 * bytes together; what is in use is bounded by those who use it.
 *
 * Small buffers are ordinary slices of Node's own pool, as many objects share its memory and none of
 * them can give it back; large ones are too rare to keep.
 */
import type { Buffers } from '../buffers.ts'

const smallestClassLog = 12
const largestClassLog = 22
/** Up to here `Buffer.allocUnsafe` cuts them from Node's pool. */
const smallBytesMax = 2048

const poison = 0xdd

interface Block {
  readonly memory: Buffer
  readonly classLog: number
  isTaken: boolean
}

export interface BufferPoolOptions {
  /** Bytes that may wait to be used again. */
  readonly idleBytesMax?: number
  /** Overwrites what is given back, so that whoever still looks at it is found out: for tests. */
  readonly isPoisoning?: boolean
}

export class BufferPool implements Buffers {
  readonly #idleBytesMax: number
  readonly #isPoisoning: boolean
  /** By class. */
  readonly #idle: Block[][] = Array.from({ length: largestClassLog + 1 }, () => [])
  readonly #blocks = new WeakMap<ArrayBufferLike, Block>()
  #idleBytes = 0

  constructor({ idleBytesMax = 32 * 1024 * 1024, isPoisoning = false }: BufferPoolOptions = {}) {
    this.#idleBytesMax = idleBytesMax
    this.#isPoisoning = isPoisoning
  }

  /** Bytes that wait to be used again. */
  get idleBytes(): number {
    return this.#idleBytes
  }

  take(bytes: number): Buffer {
    if (bytes <= smallBytesMax) return Buffer.allocUnsafe(bytes)
    const classLog = Math.max(smallestClassLog, 32 - Math.clz32(bytes - 1))
    if (classLog > largestClassLog) return Buffer.allocUnsafeSlow(bytes)
    const block = this.#idle[classLog]?.pop() ?? this.#allocate(classLog)
    if (!block.isTaken) {
      block.isTaken = true
      this.#idleBytes -= block.memory.length
    }
    return block.memory.length === bytes ? block.memory : block.memory.subarray(0, bytes)
  }

  release(buffer: Buffer): void {
    const block = this.#blocks.get(buffer.buffer)
    if (block === undefined) return
    if (!block.isTaken) throw new Error('memory of a buffer was given back twice')
    block.isTaken = false
    const { memory, classLog } = block
    if (this.#isPoisoning) memory.fill(poison)
    this.#idleBytes += memory.length
    this.#idle[classLog]?.push(block)
    if (this.#idleBytes > this.#idleBytesMax) this.#shrink(classLog)
  }

  #allocate(classLog: number): Block {
    const memory = Buffer.allocUnsafeSlow(2 ** classLog)
    const block = { memory, classLog, isTaken: true }
    this.#blocks.set(memory.buffer, block)
    return block
  }

  /** Lets the largest ones go, those of the class that is in use last. */
  #shrink(usedLog: number): void {
    for (let classLog = largestClassLog; classLog >= smallestClassLog; classLog--) {
      if (classLog !== usedLog) this.#drop(classLog)
    }
    this.#drop(usedLog)
  }

  #drop(classLog: number): void {
    const list = this.#idle[classLog] as Block[]
    while (this.#idleBytes > this.#idleBytesMax) {
      const block = list.pop()
      if (block === undefined) return
      this.#idleBytes -= block.memory.length
    }
  }
}

/**
 * `Buffers` by size classes, the powers of two: what is given back waits in the list of its class, the
 * one used last on top, as that is still in the processor's cache. The lists hold a bounded number of
 * bytes together; what is in use is bounded by those who use it. What nobody has needed for a while goes,
 * half of it at a time.
 *
 * The largest class holds what a producer sends of several partitions at once: requests of some MiB that
 * find no memory here cost a third more, by the collections that they cause and by pages touched first.
 *
 * Small buffers are ordinary slices of Node's own pool, as many objects share its memory and none of
 * them can give it back. Large ones are too rare to keep. What goes gives its memory back then, not when it is
 * collected, since much of that would make V8 collect all the time, or stay until it does.
 */
import type { Buffers } from '../buffers.ts'

const smallestClassLog = 12
const largestClassLog = 24
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
  /** How often those go that nobody has needed since. */
  readonly trimEveryMs?: number
  /** Overwrites what is given back, so that whoever still looks at it is found out: for tests. */
  readonly isPoisoning?: boolean
}

export class BufferPool implements Buffers {
  readonly reusedBytesMin = smallBytesMax + 1
  readonly #idleBytesMax: number
  readonly #trimEveryMs: number
  readonly #isPoisoning: boolean
  /** By class. */
  readonly #idle: Block[][] = Array.from({ length: largestClassLog + 1 }, () => [])
  /** By class, how many have been idle all the time since the last `trim`. */
  readonly #unneeded: number[] = Array.from({ length: largestClassLog + 1 }, () => 0)
  readonly #blocks = new WeakMap<ArrayBufferLike, Block>()
  /** Above the largest class. */
  readonly #large = new WeakSet<ArrayBufferLike>()
  #idleBytes = 0
  #isTrimDue = false

  constructor(options: BufferPoolOptions = {}) {
    this.#idleBytesMax = options.idleBytesMax ?? 64 * 1024 * 1024
    this.#trimEveryMs = options.trimEveryMs ?? 10_000
    this.#isPoisoning = options.isPoisoning ?? false
  }

  /** Bytes that wait to be used again. */
  get idleBytes(): number {
    return this.#idleBytes
  }

  take(bytes: number): Buffer {
    if (bytes <= smallBytesMax) return Buffer.allocUnsafe(bytes)
    const classLog = Math.max(smallestClassLog, 32 - Math.clz32(bytes - 1))
    if (classLog > largestClassLog) return this.#allocateLarge(bytes)
    const idle = this.#idle[classLog] as Block[]
    const block = idle.pop() ?? this.#allocate(classLog)
    if (!block.isTaken) {
      block.isTaken = true
      this.#idleBytes -= block.memory.length
      if (idle.length < (this.#unneeded[classLog] as number)) this.#unneeded[classLog] = idle.length
    }
    return block.memory.length === bytes ? block.memory : block.memory.subarray(0, bytes)
  }

  release(buffer: Buffer): void {
    const block = this.#blocks.get(buffer.buffer)
    if (block === undefined) {
      if (this.#large.delete(buffer.buffer)) free(buffer.buffer as ArrayBuffer)
      return
    }
    if (!block.isTaken) throw new Error('memory of a buffer was given back twice')
    block.isTaken = false
    const { memory, classLog } = block
    if (this.#isPoisoning) memory.fill(poison)
    this.#idleBytes += memory.length
    this.#idle[classLog]?.push(block)
    if (this.#idleBytes > this.#idleBytesMax) this.#shrink(classLog)
    if (!this.#isTrimDue) this.#trimLater()
  }

  /** Lets half of those go that nobody has needed since the last time. */
  trim(): void {
    for (let classLog = smallestClassLog; classLog <= largestClassLog; classLog++) {
      const idle = this.#idle[classLog] as Block[]
      const unneeded = Math.min(this.#unneeded[classLog] as number, idle.length)
      // The oldest lie at the bottom.
      const gone = idle.splice(0, Math.ceil(unneeded / 2))
      this.#idleBytes -= gone.length * 2 ** classLog
      for (const { memory } of gone) free(memory.buffer as ArrayBuffer)
      this.#unneeded[classLog] = idle.length
    }
  }

  #trimLater(): void {
    this.#isTrimDue = true
    const trim = (): void => {
      this.#isTrimDue = false
      this.trim()
      if (this.#idleBytes > 0) this.#trimLater()
    }
    setTimeout(trim, this.#trimEveryMs).unref()
  }

  #allocate(classLog: number): Block {
    const memory = Buffer.allocUnsafeSlow(2 ** classLog)
    const block = { memory, classLog, isTaken: true }
    this.#blocks.set(memory.buffer, block)
    return block
  }

  #allocateLarge(bytes: number): Buffer {
    const buffer = Buffer.allocUnsafeSlow(bytes)
    this.#large.add(buffer.buffer)
    return buffer
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
      free(block.memory.buffer as ArrayBuffer)
    }
  }
}

/** A channel of which nobody has the other end: what is handed over to it has no memory any more. */
const { port1: nobody } = new MessageChannel()
nobody.close()

function free(memory: ArrayBuffer): void {
  nobody.postMessage(null, [memory])
}

/**
 * Until memory goes this way for the first time V8 compiles all code as if none ever would, and then throws away
 * whatever looks at bytes: here at the start, before there is any, and not in the middle of a load.
 */
free(new ArrayBuffer(1))

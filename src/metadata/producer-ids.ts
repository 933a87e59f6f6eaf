/** Hands out producer ids, each once in the life of the cluster, from blocks that the controller gives. */
import type { ProducerIdBlock } from './controller/allocate-producer-ids.ts'

export class ProducerIds {
  readonly #allocate: () => Promise<ProducerIdBlock>
  #next = 0
  #end = 0
  #allocating: Promise<void> | undefined

  constructor(allocate: () => Promise<ProducerIdBlock>) {
    this.#allocate = allocate
  }

  /** At once while the block lasts. Rejects as the controller does. */
  next(): number | Promise<number> {
    return this.#next < this.#end ? this.#next++ : this.#nextOfNewBlock()
  }

  async #nextOfNewBlock(): Promise<number> {
    // Whoever waited may find the new block used up by those before it.
    while (this.#next === this.#end) {
      this.#allocating ??= this.#refill()
      await this.#allocating
    }
    return this.#next++
  }

  async #refill(): Promise<void> {
    try {
      const { first, size } = await this.#allocate()
      this.#next = first
      this.#end = first + size
    } finally {
      this.#allocating = undefined
    }
  }
}

/** What one of the brokers calls things: its topic ids, the member ids and producer ids that it gave out. */
import { apis } from '../../../protocol/apis.ts'
import type { Peer } from '../../hostile/peer.ts'
import { Placeholder } from './requests.ts'

const metadataVersion = 12

export class World {
  readonly #topicIds = new Map<string, string>()
  #memberId = ''
  #memberEpoch = -1
  #producerId = -1
  #producerEpoch = -1

  /** Asks for the ids that topics have now. */
  async refresh(peer: Peer): Promise<void> {
    const answer = await peer.call(apis.metadata, metadataVersion, { topics: null })
    this.#topicIds.clear()
    for (const { name, topicId } of answer?.topics ?? []) {
      if (name !== null) this.#topicIds.set(name, topicId)
    }
  }

  has(topic: string): boolean {
    return this.#topicIds.has(topic)
  }

  /** The name of a topic id of this broker's, for comparison; the id itself where it is no topic's. */
  nameOf(topicId: string): string {
    for (const [name, id] of this.#topicIds) if (id === topicId) return name
    return topicId
  }

  /** Takes what an answer gave out. */
  learn(answer: unknown): void {
    if (typeof answer !== 'object' || answer === null) return
    const { memberId, generationId, memberEpoch, producerId, producerEpoch, errorCode } =
      answer as Readonly<Record<string, unknown>>
    if (typeof memberId === 'string' && memberId !== '') this.#memberId = memberId
    const epoch = memberEpoch ?? generationId
    if (errorCode === 0 && typeof epoch === 'number') this.#memberEpoch = epoch
    if (errorCode === 0 && typeof producerId === 'number' && producerId >= 0) {
      this.#producerId = producerId
      this.#producerEpoch = typeof producerEpoch === 'number' ? producerEpoch : 0
    }
  }

  /** The request as this broker understands it. */
  fill(value: unknown): unknown {
    if (value instanceof Placeholder) return this.#fillIn(value)
    if (Array.isArray(value)) return value.map((element) => this.fill(element))
    if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, this.fill(inner)]),
    )
  }

  #fillIn({ kind, of }: Placeholder): unknown {
    switch (kind) {
      case 'topic id':
        return this.#topicIds.get(of) ?? 'AAAAAAAAAAAAAAAAAAAABQ'
      case 'member id':
        return this.#memberId
      case 'member epoch':
        return this.#memberEpoch
      case 'producer id':
        return this.#producerId
      case 'producer epoch':
        return this.#producerEpoch
    }
  }
}

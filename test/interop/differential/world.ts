/**
 * What one of the brokers calls things: its topic ids, the member ids and producer ids that it gave out.
 *
 * Groups and transactional ids are called otherwise in each generation, so that what an earlier request
 * has left in them, at one of the brokers and perhaps not at the other, is left behind.
 */
import { apis } from '../../../protocol/apis.ts'
import { encodeBatch } from '../../../protocol/records/record.ts'
import type { Peer } from '../../hostile/peer.ts'
import { longName } from './pools.ts'
import { BatchPlan, Placeholder } from './stand-ins.ts'

const metadataVersion = 12
const ofGenerations = new Set([
  ...['group-1', 'group-2', 'new-style', 'sharers', 'streams-1', 'tx-1', 'tx-2', 'nobody-s'],
  'empty-sharers',
  longName,
])
const unknownTopicId = 'AAAAAAAAAAAAAAAAAAAABQ'
const record = { timestamp: 1_700_000_000_000, key: Buffer.from('k'), value: Buffer.from('v') }

interface Member {
  readonly id: string
  readonly epoch: number
}

interface Producer {
  readonly id: number
  readonly epoch: number
}

/** What the fields of a request are about. */
interface About {
  readonly group: string
  readonly transactionalId: string
}

export class World {
  /** The first that the broker has. */
  logDirectory = ''
  #generation = 0
  readonly #topicIds = new Map<string, string>()
  readonly #members = new Map<string, Member>()
  readonly #producers = new Map<string, Producer>()

  /** Groups and transactional ids begin anew. */
  begin(): void {
    this.#generation++
    this.#members.clear()
    this.#producers.clear()
  }

  /** Asks for the ids that topics have now, and tells what topics there are and how they are laid out. */
  async refresh(peer: Peer): Promise<string> {
    const answer = await peer.call(apis.metadata, metadataVersion, { topics: null })
    this.#topicIds.clear()
    const lines: string[] = []
    for (const { name, topicId, partitions } of answer?.topics ?? []) {
      if (name === null) continue
      this.#topicIds.set(name, topicId)
      lines.push(`${name}: ${partitions.filter(({ errorCode }) => errorCode === 0).length}`)
    }
    return lines.sort().join('\n')
  }

  get topics(): readonly string[] {
    return [...this.#topicIds.keys()]
  }

  /** The name of a topic id of this broker's, for comparison; the id itself where it is no topic's. */
  nameOf(topicId: string): string {
    for (const [name, id] of this.#topicIds) if (id === topicId) return name
    return topicId
  }

  /** As both brokers may call it; null for what belongs to an earlier generation. */
  plain(name: string): string | null {
    const [before, generation] = name.split('~')
    if (before === undefined || !ofGenerations.has(before) || generation === undefined) return name
    return generation === String(this.#generation) ? before : null
  }

  /** As it is called in this generation. */
  name(plain: string): string {
    return ofGenerations.has(plain) ? `${plain}~${this.#generation}` : plain
  }

  memberOf(group: string): Member {
    return this.#members.get(group) ?? { id: '', epoch: -1 }
  }

  producerOf(transactionalId: string): Producer {
    return this.#producers.get(transactionalId) ?? { id: -1, epoch: -1 }
  }

  /** Takes what an answer gave out. */
  learn(request: object, answer: unknown): void {
    if (typeof answer !== 'object' || answer === null) return
    const { group, transactionalId } = about(request, { group: '', transactionalId: '' })
    const { memberId, generationId, memberEpoch, producerId, producerEpoch, errorCode } =
      answer as Readonly<Record<string, unknown>>
    const known = this.#members.get(group)
    const epoch = memberEpoch ?? generationId
    const isMember = errorCode === 0 && typeof epoch === 'number'
    if ((typeof memberId === 'string' && memberId !== '') || isMember) {
      this.#members.set(group, {
        id: typeof memberId === 'string' && memberId !== '' ? memberId : (known?.id ?? ''),
        epoch: isMember ? epoch : (known?.epoch ?? -1),
      })
    }
    if (errorCode === 0 && typeof producerId === 'number' && producerId >= 0) {
      const epoch = typeof producerEpoch === 'number' ? producerEpoch : 0
      this.#producers.set(transactionalId, { id: producerId, epoch })
    }
  }

  /** The request as this broker understands it. */
  fill(request: object): object {
    return this.#fill(request, { group: '', transactionalId: '' }) as object
  }

  #fill(value: unknown, around: About): unknown {
    if (typeof value === 'string') return this.name(value)
    if (value instanceof Placeholder) return this.#fillIn(value, around)
    if (value instanceof BatchPlan) return this.#batch(value, around)
    if (Array.isArray(value)) return value.map((element) => this.#fill(element, around))
    if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value
    const inside = about(value, around)
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [name, this.#fill(inner, inside)]),
    )
  }

  #batch(plan: BatchPlan, around: About): readonly Buffer[] {
    const producer = plan.isOfProducer ? this.#producers.get(around.transactionalId) : undefined
    const batch = encodeBatch({
      records: [record],
      ...(producer && { producerId: producer.id, producerEpoch: producer.epoch, baseSequence: 0 }),
      ...plan.batch,
    })
    return plan.damage(batch)
  }

  #fillIn({ kind, of }: Placeholder, { group, transactionalId }: About): unknown {
    switch (kind) {
      case 'topic id':
        return this.#topicIds.get(of) ?? unknownTopicId
      case 'member id':
        return this.memberOf(group).id
      case 'member epoch':
        return this.memberOf(group).epoch
      case 'producer id':
        return this.producerOf(transactionalId).id
      case 'producer epoch':
        return this.producerOf(transactionalId).epoch
      case 'log directory':
        return this.logDirectory
    }
  }
}

function about(value: object, around: About): About {
  const { groupId, transactionalId, v3AndBelowTransactionalId } = value as Readonly<
    Record<string, unknown>
  >
  const id = transactionalId ?? v3AndBelowTransactionalId
  return {
    group: typeof groupId === 'string' ? groupId : around.group,
    transactionalId: typeof id === 'string' ? id : around.transactionalId,
  }
}

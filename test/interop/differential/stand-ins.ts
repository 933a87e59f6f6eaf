/** What stands in a request for something that each broker calls otherwise, until `world.ts` fills it in. */
import type { NewBatch } from '../../../protocol/records/record.ts'

/** Stands for what a broker calls something: `kind` and of what. */
export class Placeholder {
  readonly kind:
    | 'topic id'
    | 'member id'
    | 'member epoch'
    | 'producer id'
    | 'producer epoch'
    | 'log directory'
  readonly of: string

  constructor(kind: Placeholder['kind'], of: string) {
    this.kind = kind
    this.of = of
  }
}

/** Stands for a batch, whose producer is called differently by each broker; and for what damages it. */
export class BatchPlan {
  readonly kind: string
  readonly batch: Partial<NewBatch>
  /** The batch is of the transactional id of its request, or of the one idempotent producer. */
  readonly isOfProducer: boolean
  readonly damage: (batch: Buffer) => readonly Buffer[]

  constructor(
    kind: string,
    batch: Partial<NewBatch> = {},
    { isOfProducer = false, damage = (whole: Buffer): readonly Buffer[] => [whole] } = {},
  ) {
    this.kind = kind
    this.batch = batch
    this.isOfProducer = isOfProducer
    this.damage = damage
  }

  toJSON(): string {
    return this.kind
  }
}

/** How `consume` writes records: as JSON lines, or as the columns that were asked for, with what stands between. */
import type { BatchRecord } from '../../protocol/records/record.ts'
import { type Encoding, encodeBytes, printRecord } from './record-text.ts'

export interface PrintOptions {
  readonly asJson: boolean
  readonly printTimestamp: boolean
  readonly printPartition: boolean
  readonly printOffset: boolean
  readonly printHeaders: boolean
  readonly printKey: boolean
  readonly printValue: boolean
  readonly keyEncoding: Encoding
  readonly valueEncoding: Encoding
  /** Between columns. */
  readonly separator: Buffer
  /** After each record. */
  readonly end: Buffer
  /** What stands for null. */
  readonly none: Buffer
}

export class RecordPrinter {
  readonly #options: PrintOptions

  constructor(options: PrintOptions) {
    this.#options = options
  }

  /** Adds what is to be written for one record. */
  print(topic: string, partition: number, record: BatchRecord, to: Buffer[]): void {
    const { asJson, separator, end } = this.#options
    if (asJson) {
      to.push(Buffer.from(`${printRecord(topic, partition, record)}\n`))
      return
    }
    for (const [index, column] of this.#columns(partition, record).entries()) {
      if (index > 0) to.push(separator)
      to.push(column)
    }
    to.push(end)
  }

  #columns(partition: number, record: BatchRecord): Buffer[] {
    const options = this.#options
    const columns: Buffer[] = []
    if (options.printTimestamp) columns.push(Buffer.from(timestampText(record.timestamp)))
    if (options.printPartition) columns.push(Buffer.from(String(partition)))
    if (options.printOffset) columns.push(Buffer.from(String(record.offset)))
    if (options.printHeaders) columns.push(this.#headers(record))
    if (options.printKey) columns.push(this.#bytes(record.key, options.keyEncoding))
    if (options.printValue) columns.push(this.#bytes(record.value, options.valueEncoding))
    return columns
  }

  #headers({ headers }: BatchRecord): Buffer {
    const texts = headers.map(({ key, value }) => `${key}:${value?.toString() ?? 'null'}`)
    return Buffer.from(texts.join(',') || '-')
  }

  #bytes(bytes: Buffer | null, encoding: Encoding): Buffer {
    return bytes === null ? this.#options.none : encodeBytes(bytes, encoding)
  }
}

function timestampText(timestampMs: number): string {
  return timestampMs < 0 ? '-' : new Date(timestampMs).toISOString()
}

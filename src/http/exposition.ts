/**
 * Numbers in the formats that Prometheus reads: its text format (0.0.4), and OpenMetrics 1.0 for whoever
 * asks for it. A family is a name with a type; all its samples stand together, in whatever order they are
 * added. The text is kept as pieces of bytes, none of them large: many thousand samples are never one
 * string.
 *
 *   # HELP kafka_log_log_size Bytes of the segments.
 *   # TYPE kafka_log_log_size gauge
 *   kafka_log_log_size{topic="orders",partition="0"} 1048576
 */

/** The name of a counter ends in `_total`. */
export type MetricType = 'counter' | 'gauge' | 'summary'
export type MetricFormat = 'text' | 'openmetrics'

export const contentTypes: Readonly<Record<MetricFormat, string>> = {
  text: 'text/plain; version=0.0.4; charset=utf-8',
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
}

/**
 * Adds what it knows. It yields where others may have their turn, once in a few hundred samples, and
 * promises to be waited for.
 */
export type Gather = (out: Exposition) => Iterable<Promise<unknown> | undefined>

const pieceCharacters = 32 * 1024

export class Exposition {
  readonly #format: MetricFormat
  readonly #families = new Map<string, Family>()

  constructor(format: MetricFormat) {
    this.#format = format
  }

  /** The family of that name; what it is, is told by whoever asks first. */
  family(name: string, type: MetricType, help: string): Family {
    const known = this.#families.get(name)
    if (known !== undefined) return known
    const family = new Family(name, headOf({ name, type, help }, this.#format))
    this.#families.set(name, family)
    return family
  }

  gauge(name: string, help: string, value: number): void {
    this.family(name, 'gauge', help).add(value)
  }

  counter(name: string, help: string, value: number): void {
    this.family(name, 'counter', help).add(value)
  }

  /** All of it; nothing may be added any more. */
  pieces(): Buffer[] {
    const pieces = [...this.#families.values()].flatMap((family) => family.pieces())
    if (this.#format === 'openmetrics') pieces.push(Buffer.from('# EOF\n'))
    return pieces
  }
}

export class Family {
  readonly #name: string
  readonly #pieces: Buffer[] = []
  #text: string
  #isEmpty = true

  constructor(name: string, head: string) {
    this.#name = name
    this.#text = head
  }

  /** `labels` as `labelled` writes them; `suffix` is that of a part of a summary: `_count`, `_sum`. */
  add(value: number, labels = '', suffix = ''): void {
    this.#isEmpty = false
    const named = labels === '' ? '' : `{${labels}}`
    this.#text += `${this.#name}${suffix}${named} ${numberText(value)}\n`
    if (this.#text.length > pieceCharacters) this.#cut()
  }

  /** A family without samples is not told of. */
  pieces(): readonly Buffer[] {
    if (this.#isEmpty) return []
    this.#cut()
    return this.#pieces
  }

  #cut(): void {
    this.#pieces.push(Buffer.from(this.#text))
    this.#text = ''
  }
}

/** `topic="orders",partition="0"`. */
export function labelled(labels: Readonly<Record<string, string | number>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`)
  return pairs.join()
}

function escaped(text: string): string {
  return text.replace(/[\\"\n]/g, (character) => (character === '\n' ? '\\n' : `\\${character}`))
}

function headOf(
  { name, type, help }: { name: string; type: MetricType; help: string },
  format: MetricFormat,
): string {
  const isShort = format === 'openmetrics' && type === 'counter'
  const shown = isShort ? name.replace(/_total$/, '') : name
  return `# HELP ${shown} ${help}\n# TYPE ${shown} ${type}\n`
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value)
  return Number.isNaN(value) ? 'NaN' : value > 0 ? '+Inf' : '-Inf'
}

/** Where the error codes stand in the answers of an API, read off its table once. */
import type { Fields, Message } from './schema.ts'
import type { Type } from './types.ts'

const isErrorCode = (name: string) => name === 'errorCode' || name.endsWith('ErrorCode')

type Inner = readonly [name: string, fields: ErrorFields]

export class ErrorFields {
  readonly #codes: readonly string[]
  readonly #inner: readonly Inner[]

  constructor({ fields }: Pick<Message, 'fields'>) {
    const entries = Object.entries<Fields[string]>(fields)
    this.#codes = entries.map(([name]) => name).filter(isErrorCode)
    this.#inner = entries.flatMap(([name, { type }]) => {
      const within = fieldsIn(type)
      if (within === null) return []
      const found = new ErrorFields({ fields: within })
      return found.isEmpty ? [] : [[name, found] as const]
    })
  }

  get isEmpty(): boolean {
    return this.#codes.length === 0 && this.#inner.length === 0
  }

  /** Adds one to `counts` at the code plus one, as the lowest is -1, for each code in the answer. */
  count(answer: object, counts: number[]): void {
    const values = answer as Readonly<Record<string, unknown>>
    for (let i = 0; i < this.#codes.length; i++) {
      const code = (values[this.#codes[i] as string] as number | undefined) ?? 0
      counts[code + 1] = (counts[code + 1] ?? 0) + 1
    }
    for (let i = 0; i < this.#inner.length; i++) {
      const [name, fields] = this.#inner[i] as Inner
      const value = values[name]
      if (Array.isArray(value)) {
        for (let at = 0; at < value.length; at++) fields.count(value[at] as object, counts)
      } else if (typeof value === 'object' && value !== null) fields.count(value, counts)
    }
  }
}

function fieldsIn(type: Type<Fields>): Fields | null {
  if (type.kind === 'struct') return type.fields
  return type.kind === 'array' ? fieldsIn(type.element) : null
}

/** Where the error codes stand in the answers of an API, read off its table once. */
import type { Fields, Message } from './schema.ts'
import type { Type } from './types.ts'

const isErrorCode = (name: string) => name === 'errorCode' || name.endsWith('ErrorCode')

type Count = (answer: object, counts: number[]) => void

export class ErrorFields {
  readonly #body: () => string
  #count: Count | null = null

  constructor({ fields }: Pick<Message, 'fields'>) {
    this.#body = () => countingBody(fields, 'answer', 0)
  }

  get isEmpty(): boolean {
    return this.#body() === ''
  }

  /**
   * Adds one to `counts` at the code plus one, as the lowest is -1, for each code in the answer. Compiled on
   * first use, as codecs are: names looked up one by one in answers of every kind cost more than the counting.
   */
  count(answer: object, counts: number[]): void {
    this.#count ??= new Function('answer', 'counts', `'use strict'\n${this.#body()}`) as Count
    this.#count(answer, counts)
  }
}

/** Statements that count the codes of `value`, an expression; empty where it can have none. */
function countingBody(fields: Fields, value: string, depth: number): string {
  const statements = Object.entries<Fields[string]>(fields).map(([name, { type }]) => {
    if (isErrorCode(name)) {
      const at = `at${depth}`
      return `{ const ${at} = (${value}.${name} ?? 0) + 1; counts[${at}] = (counts[${at}] ?? 0) + 1 }`
    }
    const within = fieldsIn(type)
    if (within === null) return ''
    const inner = `v${depth}`
    const counting = countingBody(within, inner, depth + 1)
    if (counting === '') return ''
    if (type.kind !== 'array')
      return `{ const ${inner} = ${value}.${name}; if (${inner}) ${counting} }`
    const [list, i] = [`list${depth}`, `i${depth}`]
    return `{ const ${list} = ${value}.${name}
if (${list}) for (let ${i} = 0; ${i} < ${list}.length; ${i}++) { const ${inner} = ${list}[${i}]; ${counting} } }`
  })
  const body = statements.filter((statement) => statement !== '').join('\n')
  return body === '' ? '' : `{ ${body} }`
}

function fieldsIn(type: Type<Fields>): Fields | null {
  if (type.kind === 'struct') return type.fields
  return type.kind === 'array' ? fieldsIn(type.element) : null
}

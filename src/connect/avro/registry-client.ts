/**
 * A schema registry, asked over HTTP: any that speaks the usual API. Answers are kept, since what an id
 * means never changes; the oldest go when there are many.
 */
import type { ClientAnswer, HttpClient } from '../../environment/http-client.ts'
import { ConnectException, DataException, RetriableException } from '../failures.ts'

/** Text and, by name and each after what it needs, the texts of those that it refers to. */
export interface KnownSchema {
  readonly text: string
  readonly references: readonly string[]
}

interface Reference {
  readonly subject: string
  readonly version: number
}

const contentType = 'application/vnd.schemaregistry.v1+json'
const keptMax = 1000
const referencesMax = 100

export class RegistryClient {
  readonly #urls: readonly string[]
  readonly #authorization: string | null
  readonly #http: HttpClient
  readonly #schemas = new Map<number, Promise<KnownSchema>>()
  readonly #ids = new Map<string, Promise<number>>()

  /** Throws ConnectException where an option is missing or none. */
  constructor(options: ReadonlyMap<string, string>, http: HttpClient) {
    const urls = (options.get('schema.registry.url') ?? '').split(',').map((url) => url.trim())
    if (urls.some((url) => !URL.canParse(url)))
      throw new ConnectException(
        'Missing required configuration "schema.registry.url": one or more addresses like http://localhost:8083',
      )
    const userInfo = options.get('basic.auth.user.info') ?? userInfoOf(urls[0]!)
    this.#urls = urls.map(withoutUserInfo)
    this.#authorization =
      userInfo === null ? null : `Basic ${Buffer.from(userInfo).toString('base64')}`
    this.#http = http
  }

  schema(id: number): Promise<KnownSchema> {
    return kept(this.#schemas, id, async () => {
      const answer = await this.#call('GET', `/schemas/ids/${id}`)
      const type = answer['schemaType'] ?? 'AVRO'
      if (type !== 'AVRO')
        throw new DataException(`Schema ${id} is of type ${String(type)}, and no Avro schema`)
      return this.#known(answer)
    })
  }

  /** Null: it has none there. */
  async versionOf(id: number, subject: string): Promise<number | null> {
    const rows: unknown = await this.#call('GET', `/schemas/ids/${id}/versions`)
    if (!Array.isArray(rows)) return null
    const row = rows.find((each: Partial<Reference>) => each?.subject === subject)
    return Number.isInteger(row?.version) ? row.version : null
  }

  /** The id of the schema under the subject, registered where it is new and `mayRegister`. */
  idOf(subject: string, text: string, how: { mayRegister: boolean; normalize: boolean }) {
    return kept(this.#ids, `${subject}\n${text}`, async () => {
      const path = `/subjects/${encodeURIComponent(subject)}${how.mayRegister ? '/versions' : ''}`
      const query = how.normalize ? '?normalize=true' : ''
      const { id } = await this.#call('POST', path + query, { schema: text })
      if (!Number.isInteger(id)) throw new ConnectException('The schema registry gave no id')
      return id as number
    })
  }

  async #known(answer: Readonly<Record<string, unknown>>): Promise<KnownSchema> {
    const references: string[] = []
    const seen = new Set<string>()
    const visit = async (each: Readonly<Record<string, unknown>>): Promise<string> => {
      for (const { subject, version } of (each['references'] ?? []) as Reference[]) {
        const path = `/subjects/${encodeURIComponent(String(subject))}/versions/${Number(version)}`
        if (seen.has(path)) continue
        seen.add(path)
        if (seen.size > referencesMax)
          throw new DataException(`A schema has more than ${referencesMax} references`)
        references.push(await visit(await this.#call('GET', path)))
      }
      if (typeof each['schema'] !== 'string')
        throw new ConnectException('The schema registry gave no schema')
      return each['schema']
    }
    return { text: await visit(answer), references }
  }

  async #call(
    method: string,
    path: string,
    body?: object,
  ): Promise<Readonly<Record<string, unknown>>> {
    const headers: Record<string, string> = { Accept: contentType }
    if (body !== undefined) headers['Content-Type'] = contentType
    if (this.#authorization !== null) headers['Authorization'] = this.#authorization
    let last: unknown
    for (const url of this.#urls) {
      try {
        const answer = await this.#http(url + path, {
          method,
          headers,
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        })
        if (answer.status < 500) return understood(answer, path)
        last = new Error(`${answer.status}: ${answer.body.toString().slice(0, 300)}`)
      } catch (error) {
        if (error instanceof ConnectException) throw error
        last = error
      }
    }
    throw new RetriableException(
      `The schema registry at ${this.#urls.join(', ')} does not answer: ${String(last)}`,
      { cause: last },
    )
  }
}

function understood(answer: ClientAnswer, path: string): Readonly<Record<string, unknown>> {
  const { status } = answer
  const body = answer.body.toString()
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch (cause) {
    throw new ConnectException(
      `The schema registry answered ${path} with something else than JSON`,
      {
        cause,
      },
    )
  }
  const fields = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>
  if (status >= 200 && status < 300) return fields
  const said = typeof fields['message'] === 'string' ? fields['message'] : body.slice(0, 300)
  throw new DataException(
    `The schema registry refused ${path}: ${said}; error code: ${String(fields['error_code'] ?? status)}`,
  )
}

/** What fails is asked again the next time. */
function kept<Key, Value>(
  known: Map<Key, Promise<Value>>,
  key: Key,
  ask: () => Promise<Value>,
): Promise<Value> {
  const running = known.get(key)
  if (running !== undefined) return running
  const [oldest] = known.keys()
  if (known.size >= keptMax) known.delete(oldest!)
  const asked = ask().catch((error: unknown) => {
    known.delete(key)
    throw error
  })
  known.set(key, asked)
  return asked
}

function userInfoOf(text: string): string | null {
  const { username, password } = new URL(text)
  if (username === '') return null
  return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
}

function withoutUserInfo(text: string): string {
  const url = new URL(text)
  url.username = ''
  url.password = ''
  return url.href.replace(/\/$/, '')
}

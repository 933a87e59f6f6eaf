/**
 * Posts records to somebody over HTTP, several in one request where that is asked for. An answer of 2xx takes them; one
 * that says the request is at fault (4xx) refuses the record, which goes where errors go; anything else is an outage:
 * the same is tried again, and after `max.retries` the task fails. Each record is sent at least once, in the order of its
 * partition.
 */
import { atLeast, boolean, int, long, password, string } from '../../config/definition.ts'
import { shownUrl } from '../../environment/http-client.ts'
import { ConfigDef, key, required, type Settings } from '../config-def.ts'
import { JsonConverter } from '../converters/json.ts'
import { ConnectException, DataException, RetriableException } from '../failures.ts'
import type {
  SinkConnector,
  SinkPlugin,
  SinkTask,
  SinkTaskContext,
  TopicPartition,
} from '../plugin.ts'
import type { SinkRecord } from '../records.ts'
import { connectVersion } from '../version.ts'
import { headersOf, headersSetting, urlCheck } from './requests.ts'

const config = new ConfigDef({
  'http.url': required(string(null, urlCheck), 'HIGH', 'Where to send records to.'),
  'http.headers.authorization': key(
    password(),
    'MEDIUM',
    'The value of the header Authorization; none without it.',
  ),
  'http.headers.content.type': key(
    string('application/json'),
    'LOW',
    'The value of the header Content-Type.',
  ),
  'http.headers.additional': headersSetting,
  'batching.enabled': key(boolean(false), 'HIGH', 'Several records in one request.'),
  'batch.max.size': key(int(500, atLeast(1)), 'MEDIUM', 'Records in a request at most.'),
  'batch.prefix': key(string(''), 'LOW', 'What a batch begins with, as [.'),
  'batch.separator': key(
    string('\\n'),
    'LOW',
    'What is between the records of a batch; \\n is the end of a line, here and in prefix and suffix.',
  ),
  'batch.suffix': key(string('\\n'), 'LOW', 'What a batch ends with, as ].'),
  'max.retries': key(int(1, atLeast(0)), 'MEDIUM', 'How often a request is tried again.'),
  'retry.backoff.ms': key(long(3000, atLeast(0)), 'MEDIUM', 'The time between two tries.'),
})

class HttpSinkConnector implements SinkConnector {
  #settings: Settings = new Map()

  start(settings: Settings): void {
    headersOf(config.parse(settings)['http.headers.additional'])
    this.#settings = settings
  }

  taskConfigs(tasksMax: number): Settings[] {
    return new Array(tasksMax).fill(this.#settings)
  }

  /** No offsets are kept elsewhere. */
  alterOffsets(): boolean {
    return true
  }
}

class HttpSinkTask implements SinkTask {
  readonly #json = new JsonConverter(new Map([['schemas.enable', 'false']]))
  #context: SinkTaskContext | null = null
  #config: ReturnType<typeof config.parse> | null = null
  #headers: Readonly<Record<string, string>> = {}
  /** How often the records that come first have been tried in vain. */
  #tries = 0
  /** Of a batch that comes again: what of it was dealt with. */
  readonly #done = new Set<SinkRecord>()

  start(settings: Settings, context: SinkTaskContext): void {
    this.#context = context
    const parsed = config.parse(settings)
    this.#config = parsed
    const authorization = parsed['http.headers.authorization']
    this.#headers = {
      'content-type': parsed['http.headers.content.type'],
      ...headersOf(parsed['http.headers.additional']),
      ...(authorization === null ? {} : { authorization }),
    }
  }

  async put(records: readonly SinkRecord[]): Promise<void> {
    const { 'batching.enabled': isBatched, 'batch.max.size': sizeMax } = this.#config!
    const left = records.filter((record) => !this.#done.has(record))
    const size = isBatched ? sizeMax : 1
    for (let from = 0; from < left.length; from += size) {
      await this.#sendAll(left.slice(from, from + size))
    }
    this.#done.clear()
  }

  /** What is left of a batch when partitions go comes again, as other records. */
  close(_partitions: readonly TopicPartition[]): void {
    this.#done.clear()
    this.#tries = 0
  }

  async #sendAll(records: readonly SinkRecord[]): Promise<void> {
    const texts: string[] = []
    const sent: SinkRecord[] = []
    for (const record of records) {
      try {
        texts.push(this.#textOf(record))
        sent.push(record)
      } catch (error) {
        if (!(error instanceof DataException)) throw error
        await this.#refuse(record, error)
      }
    }
    if (sent.length === 0) return
    const refusal = await this.#send(this.#bodyOf(texts))
    if (refusal === null) for (const record of sent) this.#done.add(record)
    // One of them is at fault: those that are not are sent without it.
    else if (sent.length > 1) for (const record of sent) await this.#sendAll([record])
    else await this.#refuse(sent[0]!, refusal)
  }

  /** Null: it was taken. Else why the request is at fault. Throws where it may be taken later, or never will be. */
  async #send(body: string): Promise<DataException | null> {
    const { 'http.url': url } = this.#config!
    let problem: string
    try {
      const http = this.#context!.environment.http!
      const { status, body: said } = await http(url, {
        ...{ method: 'POST', headers: this.#headers, body },
      })
      if (status >= 200 && status < 300) {
        this.#tries = 0
        return null
      }
      problem = `${shownUrl(url)} answers ${status}: ${said.toString().slice(0, 200)}`
      const mayPass = status === 408 || status === 429 || status >= 500
      if (!mayPass && status >= 400) return new DataException(problem)
    } catch (error) {
      problem = `${shownUrl(url)} cannot be asked: ${(error as Error).message}`
    }
    return this.#failed(problem)
  }

  #failed(problem: string): never {
    const { 'max.retries': retriesMax, 'retry.backoff.ms': backoffMs } = this.#config!
    if (this.#tries++ >= retriesMax) {
      throw new ConnectException(`${problem}; it was tried ${this.#tries} times`)
    }
    this.#context!.timeout(Number(backoffMs))
    throw new RetriableException(problem)
  }

  async #refuse(record: SinkRecord, error: DataException): Promise<void> {
    const { errantRecordReporter: reporter, settings } = this.#context!
    if (reporter !== null) await reporter.report(record, error)
    else if (settings.get('errors.tolerance') !== 'all') throw error
    this.#done.add(record)
  }

  #bodyOf(texts: readonly string[]): string {
    const { 'batching.enabled': isBatched, ...parsed } = this.#config!
    if (!isBatched) return texts[0]!
    const part = (name: 'batch.prefix' | 'batch.separator' | 'batch.suffix') =>
      // White space at the ends of a setting is lost.
      parsed[name].replaceAll('\\n', '\n')
    return part('batch.prefix') + texts.join(part('batch.separator')) + part('batch.suffix')
  }

  /** Text as it is, all else as JSON. Throws DataException for what has neither. */
  #textOf({ topic, value, valueSchema }: SinkRecord): string {
    if (typeof value === 'string') return value
    if (Buffer.isBuffer(value)) return value.toString()
    if (value === null || value === undefined) throw new DataException('There is no value to send')
    return this.#json.fromConnectData(topic, valueSchema, value)!.toString()
  }
}

export const httpSink: SinkPlugin = {
  type: 'sink',
  className: 'millrace.connect.http.HttpSinkConnector',
  version: connectVersion,
  config,
  connector: () => new HttpSinkConnector(),
  task: () => new HttpSinkTask(),
}

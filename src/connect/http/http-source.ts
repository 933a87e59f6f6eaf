/**
 * Asks somebody over HTTP again and again, and writes what the answers list. Where records have something that grows,
 * a number or a time, it is their offset: `${offset}` in the address is that of the last one, and of an answer that
 * begins with that one again only what follows is new.
 *
 *     http.request.url=https://example.com/orders?after=${offset}
 *     http.response.list.pointer=/orders, http.response.record.offset.pointer=/id, http.offset.initial=0
 */
import { atLeast, long, matching, string } from '../../config/definition.ts'
import { type ClientAnswer, shownUrl } from '../../environment/http-client.ts'
import { ConfigDef, key, required } from '../config-def.ts'
import { JsonValues } from '../converters/json.ts'
import { primitive } from '../data.ts'
import { ConnectException } from '../failures.ts'
import type { Idle } from '../idle.ts'
import { Fraction, type Json, parseJson, writeJson } from '../json-text.ts'
import type { SourcePlugin, SourceTaskContext } from '../plugin.ts'
import { PolledConnector, type Poller, polledTask } from '../polled-source.ts'
import { type SourcePosition, type SourceRecord, sourceRecord } from '../records.ts'
import { connectVersion } from '../version.ts'
import { headersOf, headersSetting, urlCheck } from './requests.ts'

const pointer = (preset: string) =>
  string(preset, matching(/^(\/[^/]*)*$/, 'a JSON pointer, as /orders'))

const config = new ConfigDef({
  'kafka.topic': required(
    string(null, matching(/./, 'a non-empty string')),
    'HIGH',
    'The topic to write to.',
  ),
  'http.request.url': required(
    string(null, urlCheck),
    'HIGH',
    'What to ask for. ${offset} in it is the offset of the last record, or http.offset.initial.',
  ),
  'http.request.headers': headersSetting,
  'http.response.list.pointer': key(
    pointer(''),
    'HIGH',
    'Where in an answer its records are: a JSON pointer to a list, or to a single record.',
  ),
  'http.response.record.pointer': key(pointer(''), 'MEDIUM', 'Where in an item the value is.'),
  'http.response.record.key.pointer': key(
    pointer('/'),
    'MEDIUM',
    'Where in an item the key is; records have none where it is / or not there.',
  ),
  'http.response.record.offset.pointer': key(
    pointer('/'),
    'HIGH',
    'Where in an item its offset is; without one, all that is answered is written each time.',
  ),
  'http.offset.initial': key(string(''), 'HIGH', 'The offset before there are records.'),
  'http.timer.interval.millis': key(
    long(60_000, atLeast(1)),
    'MEDIUM',
    'The time between two questions.',
  ),
})

/** Throws ConnectException. */
function offsetIn(position: SourcePosition): string {
  const offset = position.get('offset')
  if (typeof offset === 'string') return offset
  throw new ConnectException("The 'offset' key of an offset is expected to be a text")
}

class HttpAnswers implements Poller {
  readonly #values = new JsonValues(true, true)
  readonly #idle: Idle
  readonly #context: SourceTaskContext
  readonly #config: ReturnType<typeof config.parse>
  readonly #partition: SourcePosition
  /** Of the last record; null: there was none. */
  #offset: string | null
  #isFirst = true

  constructor(context: SourceTaskContext, idle: Idle) {
    this.#context = context
    this.#idle = idle
    this.#config = config.parse(context.settings)
    this.#partition = new Map([['url', this.#config['http.request.url']]])
    const kept = context.offset(this.#partition)
    this.#offset = kept === null ? null : offsetIn(kept)
  }

  async poll(): Promise<SourceRecord[] | null> {
    const { log, environment } = this.#context
    if (!this.#isFirst) {
      const intervalMs = Number(this.#config['http.timer.interval.millis'])
      await this.#idle.wait(environment.timers, intervalMs)
    }
    this.#isFirst = false
    if (this.#idle.isStopped) return null
    const url = this.#url()
    const answer = await this.#ask(url)
    if (answer === null) return null
    const items = at(answer, this.#config['http.response.list.pointer'])
    if (items === undefined) {
      log.warn(`${shownUrl(url)} answers without anything at http.response.list.pointer`)
      return null
    }
    return this.#newOf(Array.isArray(items) ? items : [items]).map((item) => this.#recordOf(item))
  }

  #url(): string {
    const { 'http.request.url': url, 'http.offset.initial': initial } = this.#config
    return url.replaceAll('${offset}', encodeURIComponent(this.#offset ?? initial))
  }

  /** Null where there is no answer to speak of, which is told and asked for again. Throws where there never will be. */
  async #ask(url: string): Promise<Json | null> {
    const { environment, log } = this.#context
    const headers = headersOf(this.#config['http.request.headers'])
    let answer: ClientAnswer
    try {
      answer = await environment.http!(url, { method: 'GET', headers })
    } catch (error) {
      log.warn(`${shownUrl(url)} cannot be asked`, { reason: String(error) })
      return null
    }
    const { status } = answer
    const body = answer.body.toString()
    const mayPass = status === 408 || status === 429 || status >= 500
    if (status >= 400 && !mayPass) {
      throw new ConnectException(`${shownUrl(url)} answers ${status}: ${body.slice(0, 200)}`)
    }
    if (status !== 200) {
      if (status !== 204) log.warn(`${shownUrl(url)} answers ${status}`)
      return null
    }
    try {
      return parseJson(body)
    } catch (cause) {
      const message = `${shownUrl(url)} answers with what is no JSON: ${(cause as Error).message}`
      throw new ConnectException(message, { cause })
    }
  }

  /** What follows the last record, where that is among them. */
  #newOf(items: readonly Json[]): readonly Json[] {
    const last = items.findLastIndex((item) => {
      const offset = this.#offsetOf(item)
      return offset !== null && offset === this.#offset
    })
    return items.slice(last + 1)
  }

  #offsetOf(item: Json): string | null {
    return textAt(item, this.#config['http.response.record.offset.pointer'])
  }

  #recordOf(item: Json): SourceRecord {
    const parsed = this.#config
    this.#offset = this.#offsetOf(item) ?? this.#offset
    const value = at(item, parsed['http.response.record.pointer'])
    const keyText = textAt(item, parsed['http.response.record.key.pointer'])
    return sourceRecord({
      topic: parsed['kafka.topic'],
      keySchema: keyText === null ? null : primitive('STRING'),
      key: keyText,
      value: value === undefined ? null : this.#values.fromJson(null, value),
      timestamp: this.#context.environment.clock.now(),
      sourcePartition: this.#partition,
      sourceOffset: new Map([['offset', this.#offset ?? parsed['http.offset.initial']]]),
    })
  }
}

/** What a JSON pointer leads to (RFC 6901); undefined: nothing. */
function at(json: Json, path: string): Json | undefined {
  let found: Json | undefined = json
  for (const escaped of path.split('/').slice(1)) {
    const part = escaped.replaceAll('~1', '/').replaceAll('~0', '~')
    if (found instanceof Map) found = found.get(part)
    else found = Array.isArray(found) ? found[Number(part)] : undefined
  }
  return found
}

/** A text as it is, a number as it is written. */
function textAt(json: Json, path: string): string | null {
  const found = path === '/' ? undefined : at(json, path)
  if (typeof found === 'string') return found
  const isText = typeof found === 'bigint' || found instanceof Fraction
  return isText ? writeJson(found) : null
}

export const httpSource: SourcePlugin = {
  type: 'source',
  className: 'millrace.connect.http.HttpSourceConnector',
  version: connectVersion,
  config,
  connector: () =>
    new PolledConnector({
      check: (settings) => config.parse(settings),
      checkOffset: offsetIn,
      hasOffsets: (settings) =>
        config.parse(settings)['http.response.record.offset.pointer'] !== '/',
    }),
  task: () => polledTask((context, idle) => new HttpAnswers(context, idle)),
}

/**
 * From a frame to the handler of its API, and from what the handler says to the reply's bytes.
 *
 * The only place where a thrown error becomes a response. What a client can be told goes through the
 * handler's `onError`; for the rest (an API or version that is not served, bytes that are no request, an
 * error that the API cannot express) Kafka's own answer is to close the connection.
 *
 * A request that decodes to much, and a reply that takes many bytes beside its records, is read and written
 * in turns with everybody else; until its reply is there its connection asks for nothing more.
 *
 * What lives in this folder: listeners, connections, their limits, and the way of a request to its
 * handler and back. What must not: anything that knows what a particular API does; handlers are rows.
 */

import { ErrorFields } from '../../protocol/error-fields.ts'
import { type ErrorRow, errors, KafkaError } from '../../protocol/errors.ts'
import type { RequestHead } from '../../protocol/frame.ts'
import {
  decodeRequest,
  decodeRequestHeader,
  decodeRequestInSteps,
  encodeResponse,
  encodeResponseInSteps,
} from '../../protocol/frame.ts'
import { MalformedError, Reader } from '../../protocol/reader.ts'
import { writeInt32 } from '../../protocol/records/big-endian.ts'
import type { Fields, Message } from '../../protocol/schema.ts'
import type { Type } from '../../protocol/types.ts'
import { WriterFull } from '../../protocol/writer.ts'
import type { Logger } from '../environment/environment.ts'
import { NobodyWaits } from '../environment/in-turns.ts'
import type { Authorizer } from './access.ts'
import type { ServerCounters } from './counters.ts'
import { type Asker, Exchange } from './exchange.ts'
import { type AnyHandler, servedVersions } from './handler.ts'
import { isKeepable, type KeptAnswer, ownBytes } from './kept-answers.ts'
import { RequestMeter } from './quotas/request-meter.ts'

/** What a request may decode to, and a reply may encode to, in one go: either takes about a millisecond. */
const decodedAtOnceMax = 256 * 1024
const encodedAtOnceMax = 64 * 1024

interface Route {
  readonly handler: AnyHandler
  /** Its requests decode to nothing that is a slice of the frame. */
  readonly isCopied: boolean
  readonly errorFields: ErrorFields
  readonly versionMin: number
  readonly versionMax: number
}

export interface RouterOptions {
  readonly log: Logger
  readonly counters: ServerCounters
  /** Absent: everybody may do everything. */
  readonly authorizer?: Authorizer | null
}

export class Router {
  readonly #routes: (Route | undefined)[] = []
  readonly #log: Logger
  readonly #counters: ServerCounters
  readonly #authorizer: Authorizer | null

  constructor(handlers: readonly AnyHandler[], options: RouterOptions) {
    for (const handler of handlers) {
      const [versionMin, versionMax] = servedVersions(handler)
      const errorFields = new ErrorFields(handler.api.response)
      const isCopied = !hasSlices(handler.api.request.fields)
      this.#routes[handler.api.key] = { handler, isCopied, errorFields, versionMin, versionMax }
    }
    this.#log = options.log
    this.#counters = options.counters
    this.#authorizer = options.authorizer ?? null
  }

  /**
   * Hands the request in a frame to its handler. The exchange that comes back is settled already, or
   * tells the connection when it is; undefined where the connection had to be closed instead.
   */
  route(frame: Buffer, connection: Asker, receivedMs: number): Exchange | undefined {
    const reader = new Reader(frame, 0, frame.length, decodedAtOnceMax)
    const exchange = this.#open(frame, reader, connection, receivedMs)
    if (exchange === undefined || exchange.isSettled) return exchange
    if (exchange.request === null) void this.#readInTurns(exchange, frame, reader.position)
    else this.#handle(exchange)
    return exchange
  }

  #handle(exchange: Exchange): void {
    this.#counters.countRequest(exchange.apiKey, exchange.apiVersion)
    if (exchange.meter !== null) beginMeasure(exchange, exchange.meter)
    let answer: unknown
    try {
      answer = exchange.handler.handle(exchange.request as never, exchange)
    } catch (error) {
      this.#fail(exchange, error)
      return
    }
    if (answer instanceof Promise) {
      exchange.meter?.handled()
      this.#await(exchange, answer)
    } else {
      this.#answer(exchange, answer)
    }
  }

  /** The request is null, and `reader` at its start, where it is too much to be read in one go. */
  #open(
    frame: Buffer,
    reader: Reader,
    connection: Asker,
    receivedMs: number,
  ): Exchange | undefined {
    const { quotas } = connection.limits
    try {
      const head = decodeRequestHeader(reader)
      const { api, apiKey, apiVersion } = head
      const route = this.#routes[apiKey]
      if (api === undefined || route === undefined) {
        connection.refuse(`API key ${apiKey} is not served`)
        return undefined
      }
      const { handler, versionMin, versionMax } = route
      if (apiVersion < versionMin || apiVersion > versionMax) {
        return this.#unsupportedVersion(head, route, frame, { receivedMs, connection })
      }
      const isMeasured = quotas.isActive && handler.quota !== 'none'
      const { principal } = connection
      const meter = isMeasured ? new RequestMeter(quotas, principal, head.clientId) : null
      const start = reader.position
      const isKept = handler.kept !== undefined && meter === null && this.#authorizer === null
      if (isKept) {
        const context = { ...head, connection, listener: connection.listener }
        const kept = handler.kept.find({ context, frame, start })
        const body = { handler, receivedMs, connection, authorizer: null, meter }
        if (kept !== undefined) return this.#answerKept(new Exchange(head, body, frame), kept)
      }
      const request = readAtOnce(api.request, apiVersion, reader)
      const body = { handler, receivedMs, connection, authorizer: this.#authorizer, meter }
      const exchange = new Exchange(head, body, frame)
      if (isKept) exchange.keptStart = start
      if (request !== null) this.#read(exchange, request, reader)
      return exchange
    } catch (error) {
      this.#refuse(frame, connection, error)
      return undefined
    }
  }

  #answerKept(exchange: Exchange, { bytes, errorCounts }: KeptAnswer): Exchange {
    const { apiKey, apiVersion, correlationId } = exchange
    this.#counters.countRequest(apiKey, apiVersion)
    this.#counters.addErrors(apiKey, errorCounts)
    const own = Buffer.allocUnsafe(ownBytes)
    writeInt32(own, 0, ownBytes - 4 + bytes.length)
    writeInt32(own, 4, correlationId)
    exchange.settle([own, bytes])
    exchange.releaseRequest()
    return exchange
  }

  /** Keeps the answer for others, where it is the same for them. */
  #keep(exchange: Exchange, answer: unknown, chunks: readonly Buffer[]): void {
    const { handler, keptState, keptStart, frame } = exchange
    if (keptState === null || keptStart < 0 || frame === null) return
    const { errorFields } = this.#routes[exchange.apiKey] as Route
    const errorCounts: number[] = []
    errorFields.count(answer as object, errorCounts)
    handler.kept?.keep(
      { context: exchange, frame, start: keptStart },
      keptState,
      chunks,
      errorCounts,
    )
  }

  /** Throws what is no fault of the bytes. */
  #refuse(frame: Buffer, connection: Asker, error: unknown): void {
    if (!(error instanceof MalformedError)) throw error
    connection.refuse(`${nameOf(frame, this.#routes)} cannot be read: ${error.message}`)
  }

  async #readInTurns(exchange: Exchange, frame: Buffer, start: number): Promise<void> {
    const { connection, handler, apiVersion } = exchange
    await exchange.mayBeRead()
    const { largeReads, options } = connection.limits
    const { decodedBytesMax } = options
    const reader = new Reader(frame, start, frame.length, decodedBytesMax)
    try {
      const steps = decodeRequestInSteps(handler.api.request, apiVersion, reader)
      this.#read(exchange, await exchange.inTurns(steps, handler.outlivesPeer), reader)
      if (!exchange.isSettled) this.#handle(exchange)
    } catch (error) {
      exchange.settle(null)
      if (!(error instanceof NobodyWaits)) this.#refuse(frame, connection, error)
    } finally {
      largeReads.hasRead()
    }
    if (exchange.isSettled) connection.settled(exchange)
  }

  #read(exchange: Exchange, request: unknown, reader: Reader): void {
    exchange.read(request, reader.decodedBytes)
    const { apiKey, frame, keptStart: start } = exchange
    const { reusedBytesMin } = exchange.connection.buffers
    if (frame === null || frame.length < reusedBytesMin) return
    // An answer is kept together with its request.
    if (start >= 0 && isKeepable({ frame, start })) return
    if (this.#routes[apiKey]?.isCopied) exchange.releaseRequest()
  }

  #unsupportedVersion(
    head: RequestHead,
    { handler, versionMin, versionMax }: Route,
    frame: Buffer,
    origin: Pick<Exchange, 'receivedMs' | 'connection'>,
  ): Exchange | undefined {
    const { api, onUnsupportedVersion } = handler
    if (onUnsupportedVersion === undefined) {
      const served = `versions ${versionMin} to ${versionMax} are served`
      origin.connection.refuse(`${api.name} has no version ${head.apiVersion} here, ${served}`)
      return undefined
    }
    const body = { handler, authorizer: this.#authorizer, meter: null, ...origin }
    const exchange = new Exchange(head, body, frame)
    const response = onUnsupportedVersion() as never
    exchange.settle(encodeResponse<Message>(api.response, 0, head.correlationId, response))
    return exchange
  }

  #await(exchange: Exchange, answer: Promise<unknown>): void {
    answer.then(
      (value) => {
        this.#answer(exchange, value)
        exchange.connection.settled(exchange)
      },
      (error: unknown) => {
        this.#fail(exchange, error)
        exchange.connection.settled(exchange)
      },
    )
  }

  #answer(exchange: Exchange, value: unknown): void {
    if (exchange.isSettled) {
      // Nobody waits for it any more.
      exchange.releaseUnsent()
      return
    }
    if (exchange.meter !== null) measure(exchange, exchange.meter, value !== null)
    if (value === null) {
      exchange.settle(null)
      return
    }
    try {
      this.#settle(exchange, value)
    } catch (error) {
      this.#fail(exchange, error)
    }
  }

  /** Throws what encoding throws, where it is done at once. */
  #settle(exchange: Exchange, answer: unknown): void {
    const { apiKey, apiVersion, correlationId, throttleMs, meter } = exchange
    const { response } = exchange.handler.api
    const { errorFields } = this.#routes[apiKey] as Route
    this.#counters.countErrors(apiKey, errorFields, answer as object)
    // What the handler returned may be everybody's answer: it is not changed.
    const value = throttleMs === 0 ? answer : { ...(answer as object), throttleTimeMs: throttleMs }
    const rest = [response as Message, apiVersion, correlationId, value as never] as const
    try {
      const chunks = encodeResponse(...rest, encodedAtOnceMax)
      this.#keep(exchange, value, chunks)
      exchange.settle(chunks)
      meter?.encoded()
    } catch (error) {
      if (!(error instanceof WriterFull)) throw error
      exchange.holdNext()
      void this.#settleLater(exchange, value, exchange.inTurns(encodeResponseInSteps(...rest)))
    }
  }

  async #settleLater(
    exchange: Exchange,
    value: unknown,
    encoding: Buffer[] | Promise<Buffer[]>,
  ): Promise<void> {
    const { handler, apiVersion, connection } = exchange
    try {
      const chunks = await encoding
      this.#keep(exchange, value, chunks)
      exchange.settle(chunks)
      exchange.meter?.encoded()
    } catch (error) {
      exchange.settle(null)
      if (!(error instanceof NobodyWaits)) {
        this.#log.error(`${handler.api.name} could not be answered`, { err: error, apiVersion })
        connection.refuse(`${handler.api.name} has an answer that cannot be written`)
      }
    }
    connection.settled(exchange)
  }

  #fail(exchange: Exchange, error: unknown): void {
    if (error instanceof NobodyWaits) {
      exchange.settle(null)
      return
    }
    const { handler, apiVersion, connection } = exchange
    const isAnswer = error instanceof KafkaError
    if (!isAnswer) {
      this.#log.error(`${handler.api.name} failed`, {
        err: error,
        apiVersion,
        client: exchange.clientId,
        connection: connection.id,
      })
    }
    const row: ErrorRow = isAnswer ? error.error : errors.UNKNOWN_SERVER_ERROR
    const message = isAnswer ? error.message : null
    if (exchange.meter !== null) measure(exchange, exchange.meter, true)
    try {
      const answer = handler.onError?.(exchange.request as never, row, apiVersion, message)
      if (answer !== undefined && answer !== null) {
        this.#settle(exchange, answer)
        return
      }
    } catch (second) {
      this.#log.error(`${handler.api.name} failed to say so`, { err: second, apiVersion })
    }
    exchange.settle(null)
    connection.refuse(`${handler.api.name} ended with ${row.name}, which it has no answer for`)
  }
}

/** Counts what has come before the next request is taken: many may come before the first is answered. */
function beginMeasure(exchange: Exchange, meter: RequestMeter): void {
  if (exchange.handler.quota !== 'bytes') return
  exchange.throttleMs = meter.countProduced(exchange.requestBytes)
}

/** Counts what the client has used with this request, whose reply is known now. */
function measure(exchange: Exchange, meter: RequestMeter, isAnswered: boolean): void {
  exchange.throttleMs = meter.finish(isAnswered)
}

/** Null where it decodes to too much for that; the reader is at its start again. Throws MalformedError. */
function readAtOnce(request: Message, version: number, reader: Reader): unknown {
  const start = reader.position
  try {
    return decodeRequest(request, version, reader)
  } catch (error) {
    if (!reader.isOverBudget) throw error
    reader.position = start
    return null
  }
}

function hasSlices(fields: Fields): boolean {
  return Object.values(fields).some(({ type }) => isSlice(type))
}

function isSlice(type: Type<Fields>): boolean {
  if (type.kind === 'struct') return hasSlices(type.fields)
  if (type.kind === 'array') return isSlice(type.element)
  return type.name === 'bytes' || type.name === 'records'
}

/** What the frame claims to be. */
function nameOf(frame: Buffer, routes: readonly (Route | undefined)[]): string {
  const apiKey = frame.readInt16BE(0)
  const name = routes[apiKey]?.handler.api.name ?? `a request of API key ${apiKey}`
  return `${name} version ${frame.readInt16BE(2)}`
}

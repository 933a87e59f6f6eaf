/**
 * A frame on a connection: four bytes of length, a header, and a message. Requests and responses
 * carry a header of the version that goes with theirs; the answer to ApiVersions keeps the oldest
 * header, because it is read before anything is agreed.
 */

import type { ApiRow } from './apis.ts'
import { apiByKey } from './apis.ts'
import { codec, steppedCodec } from './codec.ts'
import { requestHeader, responseHeader } from './messages/header.ts'
import type { Reader } from './reader.ts'
import { writeInt32 } from './records/big-endian.ts'
import type { InputOf, Message, MessageOf } from './schema.ts'
import { includes } from './types.ts'
import { Writer } from './writer.ts'

export interface RequestHead {
  /** The API's row, or undefined for a key that no API has. */
  readonly api: ApiRow | undefined
  readonly apiKey: number
  readonly apiVersion: number
  readonly correlationId: number
  readonly clientId: string | null
}

/** Bytes of the length in front of every frame. */
const lengthBytes = 4

const apiVersionsKey = 18

function requestHeaderVersion(request: Message, version: number): number {
  return includes(request.flexible, version) ? 2 : 1
}

function responseHeaderVersion(response: Message, version: number): number {
  if (response.key === apiVersionsKey) return 0
  return includes(response.flexible, version) ? 1 : 0
}

/**
 * Reads the header of a request, the length being consumed already. A version that the API does not
 * have is no error here, as its header can be told all the same. Throws MalformedError.
 */
export function decodeRequestHeader(reader: Reader): RequestHead {
  const start = reader.position
  const apiKey = reader.int16()
  const apiVersion = reader.int16()
  const api = apiByKey(apiKey)
  reader.position = start
  const version = api === undefined ? 0 : requestHeaderVersion(api.request, apiVersion)
  const { correlationId, clientId } = codec(requestHeader, version).read(reader)
  return { api, apiKey, apiVersion, correlationId, clientId }
}

/**
 * Reads a request after its header. Throws MalformedError. What is left over is passed over, as Kafka
 * does: librdkafka sends three bytes too many when it asks for the metadata of all topics.
 */
export function decodeRequest<Request extends Message>(
  request: Request,
  version: number,
  reader: Reader,
): MessageOf<Request> {
  return codec(request, version).read(reader)
}

/** As `decodeRequest`, a few elements at each step. */
export function decodeRequestInSteps<Request extends Message>(
  request: Request,
  version: number,
  reader: Reader,
): Generator<void, MessageOf<Request>> {
  return steppedCodec(request, version).read(reader)
}

/** A whole request frame as chunks, its length in front. */
export function encodeRequest<Request extends Message>(
  request: Request,
  version: number,
  head: { readonly correlationId: number; readonly clientId: string | null },
  value: InputOf<Request>,
): Buffer[] {
  const writer = startFrame()
  codec(requestHeader, requestHeaderVersion(request, version)).write(writer, {
    requestApiKey: request.key as number,
    requestApiVersion: version,
    correlationId: head.correlationId,
    clientId: head.clientId,
  })
  codec(request, version).write(writer, value)
  return finishFrame(writer)
}

/**
 * A whole response frame as chunks, its length in front; record batches go by reference. Throws WriterFull
 * where it takes more than about `bytesMax` without those.
 */
export function encodeResponse<Response extends Message>(
  response: Response,
  version: number,
  correlationId: number,
  value: InputOf<Response>,
  bytesMax?: number,
): Buffer[] {
  const writer = startResponse(response, version, correlationId, bytesMax)
  codec(response, version).write(writer, value)
  return finishFrame(writer)
}

/** As `encodeResponse`, a few elements at each step. */
export function* encodeResponseInSteps<Response extends Message>(
  response: Response,
  version: number,
  correlationId: number,
  value: InputOf<Response>,
): Generator<void, Buffer[]> {
  const writer = startResponse(response, version, correlationId)
  yield* steppedCodec(response, version).write(writer, value)
  return finishFrame(writer)
}

function startResponse(
  response: Message,
  version: number,
  correlationId: number,
  bytesMax?: number,
): Writer {
  const writer = startFrame(bytesMax)
  codec(responseHeader, responseHeaderVersion(response, version)).write(writer, { correlationId })
  return writer
}

/**
 * Reads the header of a response of this version; gives its correlation id. Throws MalformedError.
 */
export function decodeResponseHeader(reader: Reader, response: Message, version: number): number {
  return codec(responseHeader, responseHeaderVersion(response, version)).read(reader).correlationId
}

/** Reads a response after its header. Throws MalformedError, also when bytes are left over. */
export function decodeResponse<Response extends Message>(
  response: Response,
  version: number,
  reader: Reader,
): MessageOf<Response> {
  const value = codec(response, version).read(reader)
  reader.expectEnd()
  return value
}

function startFrame(bytesMax?: number): Writer {
  const writer = new Writer(bytesMax)
  writer.int32(0)
  return writer
}

/** Puts the length into the first chunk, which is always the writer's own. */
function finishFrame(writer: Writer): Buffer[] {
  const chunks = writer.finish()
  let size = -lengthBytes
  for (let i = 0; i < chunks.length; i++) size += (chunks[i] as Buffer).length
  writeInt32(chunks[0] as Buffer, 0, size)
  return chunks
}

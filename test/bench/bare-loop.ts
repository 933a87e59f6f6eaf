/**
 * What a Node process reaches on this machine without any broker: it takes frames off sockets and answers
 * each with a few bytes (`receive`), or checksums and writes it before (`store`), or answers it with a
 * megabyte that it reads from a file which the system has in its cache (`send`). As a `relay` it stores
 * each Produce, and answers the Fetch that has waited longest with its batch. `node bare-loop.js MODE
 * DIRECTORY` prints its port. It reads as the broker does, and each frame is gathered in memory that is used
 * again for the next.
 */
import { openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { apis } from '../../protocol/apis.ts'
import { decodeRequest, decodeRequestHeader, encodeResponse } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import { crc32c } from '../../protocol/records/crc32c.ts'
import type { Stream } from '../../src/environment/network.ts'
import { NodeNetwork } from '../../src/environment/node/network.ts'
import { versions } from './requests.ts'

const frameBytesMax = 4 * 1024 * 1024
/** The file begins anew, under another name, so that no disk is filled. */
const fileBytesMax = 4e9

const [mode = 'receive', directory = '.'] = process.argv.slice(2)
const answer = framed(Buffer.alloc(60))
const megabyte = framed(Buffer.alloc(1024 * 1024, 1))
const readBytes = 512 * megabyte.length
const file = mode === 'receive' ? -1 : openSync(join(directory, 'bare-loop'), 'w+')
let fileAt = 0
if (mode === 'send') for (; fileAt < readBytes; fileAt += megabyte.length) write(megabyte)

function framed(body: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}

function write(bytes: Buffer): void {
  writeSync(file, bytes, 0, bytes.length, fileAt)
}

function store(frame: Buffer): void {
  crc32c(frame)
  fileAt = fileAt + frame.length > fileBytesMax ? 0 : fileAt
  write(frame)
  fileAt += frame.length
}

/** Every stretch of the file has the same bytes: what is being sent may be read over. */
function read(into: Buffer): Buffer {
  fileAt = (fileAt + into.length) % readBytes
  readSync(file, into, 0, into.length, fileAt)
  return into
}

/** A Fetch with nothing to send is answered within this time. */
const relayWaitMs = 500

function fetchAnswer(batch: Buffer | null): Buffer {
  const partition = { partitionIndex: 0, errorCode: 0, highWatermark: 1, lastStableOffset: 1 }
  const records = batch === null ? null : [batch]
  const partitions = [{ ...partition, logStartOffset: 0, abortedTransactions: [], records }]
  const value = { throttleTimeMs: 0, errorCode: 0, sessionId: 0 }
  const responses = [{ topic: 'relayed', partitions }]
  return Buffer.concat(
    encodeResponse(apis.fetch.response, versions.fetch, 1, { ...value, responses }),
  )
}

/** How a Produce frame of some length becomes the answer to a Fetch. */
interface Relayed {
  readonly batchAt: number
  readonly batchBytes: number
  readonly answer: Buffer
  readonly answerAt: number
}

function relayedOf(frame: Buffer): Relayed {
  const reader = new Reader(frame)
  decodeRequestHeader(reader)
  const { topicData } = decodeRequest(apis.produce.request, versions.produce, reader)
  const batch = topicData[0]?.partitionData[0]?.records?.[0] as Buffer
  const answer = fetchAnswer(batch)
  const batchAt = batch.byteOffset - frame.byteOffset
  return { batchAt, batchBytes: batch.length, answer, answerAt: answer.indexOf(batch) }
}

/** Sends batches on without a look at them: frames that are as long as one before are like it. */
class Relay {
  readonly #produced = Buffer.concat(
    encodeResponse(apis.produce.response, versions.produce, 1, {
      throttleTimeMs: 0,
      responses: [
        { name: 'relayed', partitionResponses: [{ index: 0, errorCode: 0, baseOffset: 0 }] },
      ],
    }),
  )
  readonly #empty = fetchAnswer(null)
  readonly #known = new Map<number, Relayed>()
  readonly #unsent: Buffer[] = []
  readonly #waiting: Stream[] = []

  constructor() {
    const answerWaiting = () => {
      for (const stream of this.#waiting.splice(0)) stream.write([this.#empty])
    }
    setInterval(answerWaiting, relayWaitMs)
  }

  take(frame: Buffer, stream: Stream): void {
    if (frame.readInt16BE(0) === apis.produce.key) {
      store(frame)
      this.#unsent.push(this.#answerOf(frame))
      stream.write([this.#produced])
    } else this.#waiting.push(stream)
    for (; this.#unsent.length > 0 && this.#waiting.length > 0; this.#unsent.shift())
      this.#waiting.shift()?.write([this.#unsent[0] as Buffer])
  }

  #answerOf(frame: Buffer): Buffer {
    const known = this.#known.get(frame.length) ?? relayedOf(frame)
    this.#known.set(frame.length, known)
    const answer = Buffer.from(known.answer)
    frame.copy(answer, known.answerAt, known.batchAt, known.batchAt + known.batchBytes)
    return answer
  }
}

/** Answers of one read leave in one write. */
function serve(stream: Stream): void {
  const slab = Buffer.allocUnsafeSlow(frameBytesMax)
  const sent = Buffer.allocUnsafeSlow(megabyte.length)
  let filled = 0
  stream.readBytesMax = 256 * 1024
  stream.onClose = () => undefined
  stream.onDrain = () => undefined
  stream.onData = (chunk) => {
    const answers: Buffer[] = []
    for (let at = 0; at < chunk.length; ) {
      const whole = filled < 4 ? 4 : 4 + slab.readInt32BE(0)
      const bytes = Math.min(whole - filled, chunk.length - at)
      chunk.copy(slab, filled, at, at + bytes)
      filled += bytes
      at += bytes
      if (filled < whole || whole === 4) continue
      if (mode === 'store') store(slab.subarray(4, whole))
      if (relay !== undefined) relay.take(slab.subarray(4, whole), stream)
      else answers.push(mode === 'send' ? read(sent) : answer)
      filled = 0
    }
    if (answers.length > 0) stream.write(answers)
  }
}

const relay = mode === 'relay' ? new Relay() : undefined
const at = { host: '127.0.0.1', port: 0 }
const { address } = await new NodeNetwork().listen(at, serve)
console.log(address.port)

/**
 * What a Node process reaches on this machine without any broker: it takes frames off sockets and answers
 * each with a few bytes (`receive`), or checksums and writes it before (`store`), or answers it with a
 * megabyte that it reads from a file which the system has in its cache (`send`). `node bare-loop.js MODE DIRECTORY` prints its port. It reads as the broker does, and
 * each frame is gathered in memory that is used again for the next.
 */
import { openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { crc32c } from '../../protocol/records/crc32c.ts'
import type { Stream } from '../../src/environment/network.ts'
import { NodeNetwork } from '../../src/environment/node/network.ts'

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
      answers.push(mode === 'send' ? read(sent) : answer)
      filled = 0
    }
    if (answers.length > 0) stream.write(answers)
  }
}

const at = { host: '127.0.0.1', port: 0 }
const { address } = await new NodeNetwork().listen(at, serve)
console.log(address.port)

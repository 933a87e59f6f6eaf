/**
 * Every table in every version against bytes that are nearly right: messages made from the tables,
 * then cut, overwritten, spliced. Either they decode or a MalformedError says that they do not,
 * and no more elements come out than there were bytes. `SEED=n` runs other cases; a failure names
 * its own.
 */
import t from 'tap'
import { codec, encode } from '../../protocol/codec.ts'
import { decodeRequest, decodeRequestHeader } from '../../protocol/frame.ts'
import { MalformedError, Reader } from '../../protocol/reader.ts'
import { decodeCoordinatorRecord } from '../../protocol/state/coordinator-frame.ts'
import { decodeMetadataRecord } from '../../protocol/state/metadata-frame.ts'
import { offsetsTopicRecords } from '../../protocol/state/offset-records.ts'
import { includes } from '../../protocol/types.ts'
import { allMessages, versionsOf } from './all-messages.ts'
import { generateValue, randomFrom } from './generated-values.ts'
import { mutate } from './mutated-bytes.ts'

const seed = Number(process.env.SEED ?? 20_260_801)
const roundsPerVersion = 30

/** Elements of all arrays in a decoded value. */
function elementsIn(value: unknown): number {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return 0
  let elements = Array.isArray(value) ? value.length : 0
  for (const inner of Object.values(value)) elements += elementsIn(inner)
  return elements
}

/** Null when the bytes decode or are refused as they must be, else what went wrong. */
function complaint(decode: () => unknown, bytes: Buffer): string | null {
  try {
    const elements = elementsIn(decode())
    return elements > bytes.length ? `${elements} elements from ${bytes.length} bytes` : null
  } catch (error) {
    return error instanceof MalformedError ? null : String((error as Error).stack)
  }
}

t.test('mutated messages decode or are malformed', async (t) => {
  const random = randomFrom(seed)
  let decoded = 0
  for (const table of allMessages.values()) {
    for (const version of versionsOf(table)) {
      const { read } = codec(table, version)
      for (let round = 0; round < roundsPerVersion; round++) {
        let bytes = encode(table, version, generateValue(table, version, random))
        for (let times = random(3); times >= 0; times--) bytes = mutate(bytes, random)
        const problem = complaint(() => read(new Reader(bytes)), bytes)
        decoded++
        if (problem === null) continue
        t.fail(`${table.name} v${version}: ${problem}`, { seed, bytes: bytes.toString('hex') })
        return
      }
    }
  }
  t.ok(decoded > 10_000, `${decoded} messages from seed ${seed}`)
})

t.test('noise decodes or is malformed', async (t) => {
  const random = randomFrom(seed)
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(Array.from({ length: random(60) }, () => random(256)))
    bytes[0] = 0
    const problem =
      complaint(() => decodeMetadataRecord(bytes), bytes) ??
      complaint(() => decodeCoordinatorRecord(offsetsTopicRecords, bytes, bytes), bytes) ??
      complaint(() => decodeAnyRequest(bytes), bytes)
    if (problem === null) continue
    t.fail(problem, { seed, bytes: bytes.toString('hex') })
    return
  }
  t.pass(`seed ${seed}`)
})

function decodeAnyRequest(bytes: Buffer): unknown {
  const reader = new Reader(bytes)
  const { api, apiVersion } = decodeRequestHeader(reader)
  if (api === undefined || !includes(api.request.valid, apiVersion)) return null
  return decodeRequest(api.request, apiVersion, reader)
}

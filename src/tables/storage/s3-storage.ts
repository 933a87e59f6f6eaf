/**
 * Tables in an object store that speaks S3: names are keys below a prefix, and directories are what keys have in common.
 * A name is taken by a conditional put (`If-None-Match: *`), of which the store lets one win. Where the answer to one is
 * lost, what is there is compared with what was put: a commit is told from all others by what is in it, so that it is
 * neither put twice nor given up. A store that passes over the condition would let one commit replace another, so each
 * is tried out before the first.
 */
import { DiskError } from '../../environment/disk.ts'
import {
  type FileInMaking,
  type Storage,
  type StoredEntry,
  type StoredFile,
  UncertainWrite,
} from '../../environment/storage.ts'
import { uuidText } from '../columns/json-text.ts'
import { timestampOf } from '../columns/text-values.ts'
import { type ObjectWorld, type Outcome, S3Client } from './s3-client.ts'
import { ObjectInMaking } from './s3-object-in-making.ts'
import { isObjectLocation, type S3Settings } from './s3-settings.ts'
import { parseXml, textOf, type XmlElement } from './xml.ts'

/** Of an object that is read whole. */
const wholeBytesMax = 512 * 1024 * 1024
/** Read when an object is opened, from its end: what Parquet files are opened with. */
const tailBytes = 64 * 1024
/** Answers that make one listing, of up to 1000 names each. */
const listAnswersMax = 10_000

/** Buckets that were seen to heed the condition, by endpoint. */
const heedful = new Set<string>()

export class S3Storage implements Storage {
  readonly #client: S3Client
  readonly #prefix: string

  constructor(settings: S3Settings, world: ObjectWorld) {
    this.#client = new S3Client(settings, world)
    this.#prefix = settings.prefix
  }

  async list(directory: string, from = ''): Promise<StoredEntry[]> {
    const below = this.#keyOf(directory)
    const prefix = below === '' || below.endsWith('/') ? below : `${below}/`
    const found: StoredEntry[] = []
    let next = ''
    for (let answers = 0; answers < listAnswersMax; answers++) {
      const query: [string, string][] = [
        ...([
          ['list-type', '2'],
          ['delimiter', '/'],
          ['prefix', prefix],
        ] as [string, string][]),
        ...startAfter(prefix, from),
      ]
      if (next !== '') query.push(['continuation-token', next])
      const listing = await this.#listing(query)
      for (const entry of entriesOf(listing, prefix)) if (entry.name >= from) found.push(entry)
      const last = next
      next = textOf(listing, 'NextContinuationToken')
      if (textOf(listing, 'IsTruncated') !== 'true')
        return found.sort((a, b) => (a.name < b.name ? -1 : 1))
      if (next === '' || next === last) throw this.#strange(prefix, 'a listing that does not go on')
    }
    throw this.#strange(prefix, `more than ${listAnswersMax} answers make its listing`)
  }

  async #listing(query: [string, string][]): Promise<XmlElement> {
    const outcome = await this.#client.attempt({ method: 'GET', key: '', query })
    if (outcome.kind === 'refused' && outcome.refusal.code === 'NoSuchKey') {
      // Of a bucket, nothing else can be meant.
      const refusal = { ...outcome.refusal, code: 'NoSuchBucket' }
      throw this.#client.errorOf({ ...outcome, refusal }, '')
    }
    if (outcome.kind !== 'done') throw this.#client.errorOf(outcome, '')
    try {
      const listing = parseXml(outcome.answer.body)
      if (listing.name === 'ListBucketResult') return listing
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
      throw this.#strange('', `no listing: ${error.message}`)
    }
    throw this.#strange('', 'no listing')
  }

  async read(name: string): Promise<Buffer> {
    const request = {
      method: 'GET',
      key: this.#keyOf(name),
      answerBytesMax: wholeBytesMax,
    } as const
    return (await this.#client.ask(request)).body
  }

  async open(name: string): Promise<StoredFile> {
    const key = this.#keyOf(name)
    const headers = { range: `bytes=-${tailBytes}` }
    const outcome = await this.#client.attempt({ method: 'GET', key, headers })
    if (outcome.kind === 'refused' && outcome.refusal.code === 'InvalidRange')
      return new StoredObject(this.#client, key, { etag: '', size: 0, tail: Buffer.alloc(0) })
    if (outcome.kind !== 'done') throw this.#client.errorOf(outcome, key)
    const { status, headers: told, body: tail } = outcome.answer
    const range = rangeOf(told['content-range'])
    const size = status === 206 ? (range?.size ?? -1) : tail.length
    const isTail = status === 200 || range?.start === size - tail.length
    if (size < 0 || !isTail) throw this.#strange(key, 'a range that was not asked for')
    return new StoredObject(this.#client, key, { etag: told['etag'] ?? '', size, tail })
  }

  async create(name: string): Promise<FileInMaking> {
    const key = this.#keyOf(name)
    return new ObjectInMaking(this.#client, key, (bytes) => this.putIfAbsent(name, bytes))
  }

  async putIfAbsent(name: string, bytes: Uint8Array): Promise<boolean> {
    const key = this.#keyOf(name)
    await this.#tryOut()
    const outcome = await this.#putIfAbsent(key, bytes)
    if (outcome.kind === 'done') return true
    const isTaken = outcome.kind === 'refused' && outcome.refusal.code === 'PreconditionFailed'
    const error = this.#client.errorOf(outcome, key)
    if (!isTaken && !outcome.mayBeDone) throw error
    // Taken by whom? A try of ours may have come before this one, and some other's hands may have sent one twice.
    const there = await this.read(name).catch((reading: unknown) => {
      if (reading instanceof DiskError && reading.code === 'ENOENT') return null
      const { message } = reading as Error
      throw new UncertainWrite(error.code, key, {
        message: `${error.message}; ${message}`,
        cause: reading,
      })
    })
    if (there?.equals(bytes)) return true
    if (isTaken || there !== null) return false
    throw new UncertainWrite(error.code, key, { message: error.message, cause: error })
  }

  #putIfAbsent(key: string, body: Uint8Array) {
    return this.#client.attempt({ method: 'PUT', key, headers: { 'if-none-match': '*' }, body })
  }

  async put(name: string, bytes: Uint8Array): Promise<void> {
    await this.#client.ask({ method: 'PUT', key: this.#keyOf(name), body: bytes })
  }

  async remove(name: string): Promise<void> {
    const key = this.#keyOf(name)
    const outcome = await this.#client.attempt({ method: 'DELETE', key })
    if (outcome.kind === 'done') return
    if (outcome.kind === 'refused' && outcome.refusal.code === 'NoSuchKey') return
    throw this.#client.errorOf(outcome, key)
  }

  /** Puts one object twice: the second has to fail. Under a hidden name, which vacuum removes where this could not. */
  async #tryOut(): Promise<void> {
    const { bucket, endpoint } = this.#client.settings
    const place = `${endpoint}/${bucket}`
    if (heedful.has(place) || /\.amazonaws\.com(\.cn)?$/.test(endpoint)) return
    const key = this.#keyOf(`.${uuidText(this.#client.world.random.bytes(16))}.tmp`)
    const bytes = Buffer.from('May a name be taken twice?')
    const isTaken = (outcome: Outcome) =>
      outcome.kind === 'refused' && outcome.refusal.code === 'PreconditionFailed'
    const first = await this.#putIfAbsent(key, bytes)
    if (first.kind !== 'done' && !isTaken(first)) throw this.#client.errorOf(first, key)
    const second = await this.#putIfAbsent(key, bytes)
    await this.#client.attempt({ method: 'DELETE', key })
    if (second.kind === 'done')
      throw new DiskError('NotImplemented', key, {
        message: `${endpoint} lets a name be taken twice (it passes over If-None-Match), so that commits could be lost`,
      })
    if (!isTaken(second)) throw this.#client.errorOf(second, key)
    heedful.add(place)
  }

  #keyOf(name: string): string {
    if (name.startsWith('/') || isObjectLocation(name))
      throw new DiskError('EINVAL', name, {
        message: `${name} is not in ${this.#client.nameOf('')}`,
      })
    if (/\p{Surrogate}/u.test(name)) throw new DiskError('EINVAL', name, { message: 'no name' })
    const parts = name.split('/').filter((part) => part !== '' && part !== '.')
    return this.#prefix + parts.join('/')
  }

  #strange(key: string, what: string): DiskError {
    const { endpoint } = this.#client.settings
    return new DiskError('EIO', this.#client.nameOf(key), {
      message: `${endpoint} answers ${what}`,
    })
  }
}

class StoredObject implements StoredFile {
  readonly size: number
  readonly #client: S3Client
  readonly #key: string
  readonly #etag: string
  /** Its last bytes. */
  readonly #tail: Buffer

  constructor(
    client: S3Client,
    key: string,
    { etag, size, tail }: { etag: string; size: number; tail: Buffer },
  ) {
    this.#client = client
    this.#key = key
    this.#etag = etag
    this.#tail = tail
    this.size = size
  }

  async read(position: number, length: number): Promise<Uint8Array> {
    const end = position + length
    if (position < 0 || end > this.size)
      throw this.#error(`the object ends at ${this.size}, before byte ${end}`)
    const inTail = position - (this.size - this.#tail.length)
    if (length === 0 || inTail >= 0) return this.#tail.subarray(inTail, inTail + length)
    const { status, headers, body } = await this.#client.ask({
      ...{ method: 'GET', key: this.#key, answerBytesMax: length },
      headers: {
        range: `bytes=${position}-${end - 1}`,
        // One object all the time, and not the beginning of one with the end of another.
        ...(this.#etag === '' ? {} : { 'if-match': this.#etag }),
      },
    })
    const range = rangeOf(headers['content-range'])
    const isRange = status === 206 && range?.start === position && range.size === this.size
    if (!isRange || body.length !== length) throw this.#error('another range than was asked for')
    return body
  }

  async close(): Promise<void> {}

  #error(message: string): DiskError {
    return new DiskError('EIO', this.#client.nameOf(this.#key), { message })
  }
}

/** Of `bytes START-END/SIZE`. */
function rangeOf(text = ''): { start: number; size: number } | null {
  const [, start, size] = /^bytes (\d{1,15})-\d{1,15}\/(\d{1,15})$/.exec(text) ?? []
  return start === undefined ? null : { start: Number(start), size: Number(size) }
}

/** Names that a listing need not have: those up to the greatest that is less than `from`, or about it. */
function startAfter(prefix: string, from: string): [string, string][] {
  if (!/[0-9A-Za-z]$/.test(from)) return []
  const last = String.fromCharCode(from.charCodeAt(from.length - 1) - 1)
  return [['start-after', `${prefix}${from.slice(0, -1)}${last}`]]
}

function* entriesOf(listing: XmlElement, prefix: string): Generator<StoredEntry> {
  for (const element of listing.children) {
    const isDirectory = element.name === 'CommonPrefixes'
    if (!isDirectory && element.name !== 'Contents') continue
    const key = textOf(element, isDirectory ? 'Prefix' : 'Key')
    const name = key.slice(prefix.length).replace(/\/$/, '')
    // The directory itself, where somebody has made an object of it; what was not asked for.
    if (!key.startsWith(prefix) || name === '' || name.includes('/')) continue
    const size = isDirectory ? 0 : Number(textOf(element, 'Size'))
    const modifiedMs = isDirectory ? 0 : millisOf(textOf(element, 'LastModified'))
    yield { name, isDirectory, isLink: false, size, modifiedMs }
  }
}

function millisOf(text: string): number {
  return Number(timestampOf(text) / 1000n)
}

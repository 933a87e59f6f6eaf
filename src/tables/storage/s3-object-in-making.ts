/**
 * An object that is written bit by bit. A small one is put whole; of a large one parts are sent as they are full, and
 * only when they are put together is it there. Parts that nobody puts together are dropped; those of a process that
 * died stay, unseen, until a rule of the bucket for unfinished uploads removes them.
 */
import { DiskError } from '../../environment/disk.ts'
import { type FileInMaking, UncertainWrite } from '../../environment/storage.ts'
import { uuidText } from '../columns/json-text.ts'
import type { S3Client } from './s3-client.ts'
import { escaped, parseXml, textOf } from './xml.ts'

/** Held in memory. With 10 000 parts, which is all that S3 allows, an object has up to 78 GiB. */
const partBytes = 8 * 1024 * 1024
const partsMax = 10_000
/** Says whose the object is, where the answer to putting it together was lost. */
const markHeader = 'x-amz-meta-millrace-upload'

interface Upload {
  readonly id: string
  readonly mark: string
  readonly etags: string[]
}

export class ObjectInMaking implements FileInMaking {
  readonly #client: S3Client
  readonly #key: string
  readonly #putWhole: (bytes: Uint8Array) => Promise<boolean>
  #held: Uint8Array[] = []
  #heldBytes = 0
  #upload: Upload | null = null

  constructor(client: S3Client, key: string, putWhole: (bytes: Uint8Array) => Promise<boolean>) {
    this.#client = client
    this.#key = key
    this.#putWhole = putWhole
  }

  async write(bytes: Uint8Array): Promise<void> {
    let rest = bytes
    while (this.#heldBytes + rest.length >= partBytes) {
      const taken = rest.subarray(0, partBytes - this.#heldBytes)
      rest = rest.subarray(taken.length)
      this.#held.push(taken)
      await this.#sendPart()
    }
    // Whoever writes may go on to use the memory.
    this.#held.push(Uint8Array.from(rest))
    this.#heldBytes += rest.length
  }

  async finish(): Promise<void> {
    try {
      if (!(await this.#settle())) {
        const name = this.#client.nameOf(this.#key)
        throw new DiskError('EEXIST', name, { message: `${name} is there already` })
      }
    } catch (error) {
      await this.discard()
      throw error
    }
    this.#upload = null
  }

  async #settle(): Promise<boolean> {
    if (this.#upload === null) return this.#putWhole(Buffer.concat(this.#held))
    if (this.#heldBytes > 0) await this.#sendPart()
    return this.#putTogether(this.#upload)
  }

  /** What cannot be dropped now is left as what a process that dies leaves. */
  async discard(): Promise<void> {
    const upload = this.#upload
    this.#upload = null
    this.#held = []
    this.#heldBytes = 0
    if (upload === null) return
    const query = [['uploadId', upload.id]] as const
    await this.#client.attempt({ method: 'DELETE', key: this.#key, query })
  }

  async #sendPart(): Promise<void> {
    this.#upload ??= await this.#begin()
    const { id, etags } = this.#upload
    if (etags.length === partsMax)
      throw new DiskError('EFBIG', this.#key, {
        message: `${this.#key} has more than ${partsMax} parts`,
      })
    const body = Buffer.concat(this.#held)
    const { headers } = await this.#client.ask({
      ...{ method: 'PUT', key: this.#key, body },
      query: [
        ['partNumber', String(etags.length + 1)],
        ['uploadId', id],
      ],
    })
    if (headers['etag'] === undefined) throw this.#strange('a part without an ETag')
    etags.push(headers['etag'])
    this.#held = []
    this.#heldBytes = 0
  }

  async #begin(): Promise<Upload> {
    const mark = uuidText(this.#client.world.random.bytes(16))
    const { body } = await this.#client.ask({
      ...{ method: 'POST', key: this.#key, query: [['uploads', '']] },
      headers: { [markHeader]: mark },
    })
    try {
      const id = textOf(parseXml(body), 'UploadId')
      if (id !== '') return { id, mark, etags: [] }
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error
    }
    throw this.#strange('no upload')
  }

  /** Answers false where the name is taken. */
  async #putTogether({ id, mark, etags }: Upload): Promise<boolean> {
    const parts = etags.map(
      (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>${escaped(etag)}</ETag></Part>`,
    )
    const xml = 'http://s3.amazonaws.com/doc/2006-03-01/'
    const outcome = await this.#client.attempt({
      ...{ method: 'POST', key: this.#key, query: [['uploadId', id]] },
      headers: { 'if-none-match': '*' },
      body: Buffer.from(
        `<CompleteMultipartUpload xmlns="${xml}">${parts.join('')}</CompleteMultipartUpload>`,
      ),
    })
    if (outcome.kind === 'done') return true
    const error = this.#client.errorOf(outcome, this.#key)
    const isTaken = outcome.kind === 'refused' && outcome.refusal.code === 'PreconditionFailed'
    if (!isTaken && !outcome.mayBeDone) throw error
    const there = await this.#markThere()
    if (there === mark) return true
    if (isTaken) return false
    throw new UncertainWrite(error.code, this.#key, { message: error.message, cause: error })
  }

  /** Of what has the name now; null where that could not be found out, or it has none. */
  async #markThere(): Promise<string | null> {
    const request = { method: 'GET', key: this.#key, headers: { range: 'bytes=0-0' } } as const
    const outcome = await this.#client.attempt(request)
    return outcome.kind === 'done' ? (outcome.answer.headers[markHeader] ?? null) : null
  }

  #strange(what: string): DiskError {
    const { endpoint } = this.#client.settings
    return new DiskError('EIO', this.#client.nameOf(this.#key), {
      message: `${endpoint} answers ${what}`,
    })
  }
}

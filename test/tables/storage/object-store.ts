/**
 * A small object store that speaks S3, for tests: in memory, on a port of its own. It checks what is signed, does
 * conditional puts, ranges, listings by pages and uploads in parts, and misbehaves on request: `fault` is asked before
 * each request what is to become of it.
 */
import { createHash, randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { authorizationOf, sha256 } from '../../../src/tables/storage/signature.ts'
import { escaped, parseXml, textOf } from '../../../src/tables/storage/xml.ts'

export const keys = {
  AWS_ACCESS_KEY_ID: 'AKIDTEST',
  AWS_SECRET_ACCESS_KEY: 'open+sesame/0123',
  AWS_SESSION_TOKEN: 'token-that-nobody-sees==',
}

interface StoredObject {
  readonly bytes: Buffer
  readonly etag: string
  readonly modified: string
  readonly metadata: Readonly<Record<string, string>>
}

/**
 * `lost`: done, but the connection ends before the answer. `unheard`: the connection ends before it is done. `late`:
 * the connection ends, and it is done when a test says so. `truncated`: half of the answer. `slow`: nothing for good. Else an
 * answer in its place.
 */
export type Fault =
  | 'lost'
  | 'unheard'
  | 'late'
  | 'truncated'
  | 'slow'
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }

export interface Asked {
  readonly method: string
  /** Without the bucket. */
  readonly key: string
  readonly query: ReadonlyMap<string, string>
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
}

interface Answer {
  readonly status: number
  readonly headers?: Record<string, string>
  readonly body?: Buffer | string
}

export class ObjectStore {
  readonly bucket = 'lake'
  readonly objects = new Map<string, StoredObject>()
  readonly uploads = new Map<string, Map<number, Buffer>>()
  readonly asked: string[] = []
  /** What is still to be done. */
  readonly late: (() => void)[] = []
  fault: (asked: Asked) => Fault | null = () => null
  /** False: puts replace whatever is there. */
  heedsConditions = true
  pageSize = 1000
  readonly #marks = new Map<string, Record<string, string>>()
  readonly #server = createServer((request, response) => void this.#serve(request, response))

  static async start(): Promise<ObjectStore> {
    const store = new ObjectStore()
    await new Promise<void>((resolve) => store.#server.listen(0, '127.0.0.1', resolve))
    return store
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  get variables(): Record<string, string> {
    return { ...keys, AWS_ENDPOINT_URL: this.endpoint, AWS_REGION: 'test-1' }
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer)
    } catch {
      // Whoever asked has gone.
      return
    }
    const [path = '', question = ''] = request.url!.split('?')
    const query = new Map(
      question
        .split('&')
        .filter((part) => part !== '')
        .map((part) => part.split('=').map(decodeURIComponent) as [string, string]),
    )
    const body = Buffer.concat(chunks)
    const [, bucket = '', ...parts] = path.split('/')
    const key = parts.map(decodeURIComponent).join('/')
    const asked: Asked = { method: request.method!, key, query, headers: request.headers, body }
    this.asked.push(`${asked.method} ${asked.key}${query.size > 0 ? `?${[...query.keys()]}` : ''}`)
    const fault = this.fault(asked)
    if (fault === 'slow') return
    if (fault === 'unheard') return void request.socket.destroy()
    if (fault === 'late') {
      request.socket.destroy()
      this.late.push(() => this.#answerTo(asked))
      return
    }
    const answer =
      typeof fault === 'object' && fault !== null
        ? fault
        : (refusedSignature(asked, path, bucket, this.bucket) ?? this.#answerTo(asked))
    if (fault === 'lost') return void request.socket.destroy()
    const bytes = Buffer.from(answer.body ?? '')
    response.writeHead(answer.status, { 'Content-Length': bytes.length, ...answer.headers })
    if (fault !== 'truncated') return void response.end(bytes)
    response.write(bytes.subarray(0, bytes.length / 2), () => request.socket.destroy())
  }

  #answerTo(asked: Asked): Answer {
    const { method, key, query } = asked
    if (key === '') return this.#list(query)
    if (query.has('uploads')) return this.#beginUpload(asked)
    if (query.has('uploadId')) return this.#upload(asked, query.get('uploadId')!)
    if (method === 'PUT') return this.#put(asked, asked.body, {})
    if (method === 'DELETE') {
      this.objects.delete(key)
      return { status: 204 }
    }
    return this.#get(asked)
  }

  #put(asked: Asked, bytes: Buffer, metadata: Record<string, string>): Answer {
    if (
      this.heedsConditions &&
      asked.headers['if-none-match'] === '*' &&
      this.objects.has(asked.key)
    )
      return refused(412, 'PreconditionFailed')
    const etag = `"${createHash('md5').update(bytes).digest('hex')}"`
    const modified = new Date().toISOString()
    this.objects.set(asked.key, { bytes, etag, modified, metadata })
    return { status: 200, headers: { ETag: etag } }
  }

  #get({ key, headers }: Asked): Answer {
    const found = this.objects.get(key)
    if (found === undefined) return refused(404, 'NoSuchKey')
    const { bytes, etag, metadata } = found
    if ((headers['if-match'] ?? etag) !== etag) return refused(412, 'PreconditionFailed')
    const range = /^bytes=(\d*)-(\d*)$/.exec(headers.range ?? '')
    if (range === null) return { status: 200, headers: { ETag: etag, ...metadata }, body: bytes }
    const [, from, to] = range
    if (bytes.length === 0) return refused(416, 'InvalidRange')
    const start = from === '' ? Math.max(bytes.length - Number(to), 0) : Number(from)
    const end = from === '' || to === '' ? bytes.length : Math.min(Number(to) + 1, bytes.length)
    const told = { 'Content-Range': `bytes ${start}-${end - 1}/${bytes.length}` }
    return {
      status: 206,
      headers: { ETag: etag, ...told, ...metadata },
      body: bytes.subarray(start, end),
    }
  }

  #list(query: Asked['query']): Answer {
    const prefix = query.get('prefix') ?? ''
    const after = query.get('continuation-token') ?? query.get('start-after') ?? ''
    const found = new Map<string, string>()
    for (const key of [...this.objects.keys()].sort()) {
      if (!key.startsWith(prefix)) continue
      const slash = key.indexOf('/', prefix.length)
      const name = slash < 0 ? key : key.slice(0, slash + 1)
      if (name <= after) continue
      const { bytes, modified } = this.objects.get(key)!
      found.set(
        name,
        slash < 0
          ? `<Contents><Key>${escaped(key)}</Key><LastModified>${modified}</LastModified>` +
              `<Size>${bytes.length}</Size></Contents>`
          : `<CommonPrefixes><Prefix>${escaped(name)}</Prefix></CommonPrefixes>`,
      )
    }
    const page = [...found].slice(0, this.pageSize)
    const isWhole = page.length === found.size
    const next = isWhole
      ? ''
      : `<NextContinuationToken>${escaped(page.at(-1)![0])}</NextContinuationToken>`
    return {
      status: 200,
      body:
        `<?xml version="1.0"?><ListBucketResult><IsTruncated>${!isWhole}</IsTruncated>${next}` +
        `${page.map(([, xml]) => xml).join('')}</ListBucketResult>`,
    }
  }

  #beginUpload({ headers }: Asked): Answer {
    const id = randomUUID()
    this.uploads.set(id, new Map())
    const marks = Object.entries(headers).filter(([name]) => name.startsWith('x-amz-meta-'))
    this.#marks.set(id, Object.fromEntries(marks) as Record<string, string>)
    const body = `<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`
    return { status: 200, body }
  }

  #upload(asked: Asked, id: string): Answer {
    const parts = this.uploads.get(id)
    if (parts === undefined) return refused(404, 'NoSuchUpload')
    if (asked.method === 'DELETE') {
      this.uploads.delete(id)
      return { status: 204 }
    }
    if (asked.method === 'PUT') {
      const number = Number(asked.query.get('partNumber'))
      parts.set(number, asked.body)
      return { status: 200, headers: { ETag: `"${number}-${asked.body.length}"` } }
    }
    const wanted = parseXml(asked.body).children.map((part) => {
      const bytes = parts.get(Number(textOf(part, 'PartNumber')))
      return textOf(part, 'ETag').endsWith(`-${bytes?.length}"`) ? bytes : undefined
    })
    const isWhole = wanted.every(
      (bytes, i) => i === wanted.length - 1 || (bytes?.length ?? 0) >= 5 * 2 ** 20,
    )
    if (!isWhole || wanted.includes(undefined)) return refused(400, 'InvalidPart')
    const answer = this.#put(asked, Buffer.concat(wanted as Buffer[]), this.#marks.get(id)!)
    if (answer.status !== 200) return answer
    this.uploads.delete(id)
    return {
      status: 200,
      body: '\n<CompleteMultipartUploadResult></CompleteMultipartUploadResult>',
    }
  }
}

export function refused(status: number, code: string, more = ''): Answer & { body: string } {
  const body = `<?xml version="1.0"?>\n<Error><Code>${code}</Code><Message>Said of ${code}</Message>${more}</Error>`
  return { status, body }
}

/** Null: it is signed as it has to be, over what came. */
function refusedSignature(asked: Asked, path: string, bucket: string, ours: string): Answer | null {
  const { method, query, headers, body } = asked
  const found =
    /Credential=(\w+)\/\d{8}\/([\w-]+)\/s3\/aws4_request, SignedHeaders=([\w;-]+), /.exec(
      headers.authorization ?? '',
    )
  if (found === null) return refused(403, 'AccessDenied')
  const [, accessKeyId, region, names] = found
  if (accessKeyId !== keys.AWS_ACCESS_KEY_ID) return refused(403, 'InvalidAccessKeyId')
  if (headers['x-amz-security-token'] !== keys.AWS_SESSION_TOKEN)
    return refused(403, 'InvalidToken')
  if (region !== 'test-1')
    return refused(400, 'AuthorizationHeaderMalformed', '<Region>test-1</Region>')
  const bodyHash = sha256(body)
  if (headers['x-amz-content-sha256'] !== bodyHash) return refused(400, 'XAmzContentSHA256Mismatch')
  const signed = Object.fromEntries(names!.split(';').map((name) => [name, String(headers[name])]))
  const expected = authorizationOf(
    { method, path, query: [...query], headers: signed, bodyHash },
    { accessKeyId, secretAccessKey: keys.AWS_SECRET_ACCESS_KEY, sessionToken: null },
    { region, service: 's3', time: String(headers['x-amz-date']) },
  )
  if (headers.authorization !== expected) return refused(403, 'SignatureDoesNotMatch')
  return bucket === ours ? null : refused(404, 'NoSuchBucket')
}

/**
 * AWS Signature Version 4: what a request is told to be from. All that is signed is put into one text, method, path,
 * query, headers and the hash of the body, whose hash is signed with a key that is derived from the secret for one day,
 * region and service. S3 takes the path as it is sent, without looking for `..` in it or escaping it twice.
 */
import { createHash, createHmac } from 'node:crypto'

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of credentials that are good for some time only. */
  readonly sessionToken: string | null
}

export interface SignedRequest {
  readonly method: string
  /** As it is sent: escaped. */
  readonly path: string
  readonly query: readonly (readonly [name: string, value: string])[]
  /** All that are signed, `host` and `x-amz-date` among them. */
  readonly headers: Readonly<Record<string, string>>
  /** Of the body, in hexadecimal digits. */
  readonly bodyHash: string
}

export interface SigningScope {
  readonly region: string
  readonly service: string
  /** As `x-amz-date` has it: `20130524T000000Z`. */
  readonly time: string
}

const algorithm = 'AWS4-HMAC-SHA256'

/** The value of the `Authorization` header. */
export function authorizationOf(
  request: SignedRequest,
  { accessKeyId, secretAccessKey }: Credentials,
  { region, service, time }: SigningScope,
): string {
  const day = time.slice(0, 8)
  const scope = `${day}/${region}/${service}/aws4_request`
  const { text, signedHeaders } = canonical(request)
  const key = [day, region, service, 'aws4_request'].reduce<string | Buffer>(
    hmac,
    `AWS4${secretAccessKey}`,
  )
  const signature = hmac(key, [algorithm, time, scope, sha256(text)].join('\n')).toString('hex')
  return `${algorithm} Credential=${accessKeyId}/${scope}, SignedHeaders=${signedHeaders}, Signature=${signature}`
}

function canonical({ method, path, query, headers, bodyHash }: SignedRequest) {
  const lines = Object.entries(headers)
    .map(([name, value]) => [name.toLowerCase(), value.trim().replace(/ +/g, ' ')] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
  const signedHeaders = lines.map(([name]) => name).join(';')
  const told = lines.map(([name, value]) => `${name}:${value}\n`).join('')
  const text = [method, path, queryText(query), told, signedHeaders, bodyHash].join('\n')
  return { text, signedHeaders }
}

/** As it is sent and signed: escaped, and in order of names. */
export function queryText(query: SignedRequest['query']): string {
  return query
    .map(([name, value]) => `${escapedText(name)}=${escapedText(value)}`)
    .sort()
    .join('&')
}

/** All but letters, digits and `-._~`, byte by byte. Throws URIError for half a surrogate pair. */
export function escapedText(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
}

export function sha256(bytes: string | Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

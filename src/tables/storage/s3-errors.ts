/** What object stores say where they do not do what was asked, in a sentence that says what to do. */
import { DiskError } from '../../environment/disk.ts'
import type { ClientAnswer } from '../../environment/http-client.ts'
import type { S3Settings } from './s3-settings.ts'
import { parseXml, textOf, type XmlElement } from './xml.ts'

export interface S3Refusal {
  /** As S3 names it: `NoSuchKey`, `AccessDenied`, … */
  readonly code: string
  readonly message: string
  /** Where the bucket is, where the answer says so. */
  readonly region: string
}

const codesByStatus = new Map([
  [301, 'PermanentRedirect'],
  [307, 'TemporaryRedirect'],
  [403, 'AccessDenied'],
  [404, 'NoSuchKey'],
  [409, 'ConditionalRequestConflict'],
  [412, 'PreconditionFailed'],
  [416, 'InvalidRange'],
  [429, 'SlowDown'],
  [500, 'InternalError'],
  [501, 'NotImplemented'],
  [503, 'SlowDown'],
])

/** Null: it was done. What is put together of parts may begin well, and tell of a failure where the answer ends. */
export function refusalOf(
  { status, headers, body }: ClientAnswer,
  isPutTogether = false,
): S3Refusal | null {
  const isDone = status >= 200 && status < 300
  if (isDone && !isPutTogether) return null
  const error = errorIn(body)
  if (isDone && error === null) return null
  const code = codeIn(error) || codesByStatus.get(status) || `HTTP ${status}`
  const message = error === null ? '' : cleaned(textOf(error, 'Message'))
  const region = headers['x-amz-bucket-region'] ?? (error === null ? '' : textOf(error, 'Region'))
  return { code, message, region: cleaned(region) }
}

/** An element `Error`, of an answer that is short enough to be one. */
function errorIn(body: Buffer): XmlElement | null {
  if (body.length > 64 * 1024 || !body.subarray(0, 4096).includes('<Error')) return null
  try {
    const root = parseXml(body)
    return root.name === 'Error' ? root : null
  } catch (error) {
    if (error instanceof SyntaxError) return null
    throw error
  }
}

function codeIn(error: XmlElement | null): string {
  const code = error === null ? '' : textOf(error, 'Code')
  return /^[A-Za-z0-9.]{1,64}$/.test(code) ? code : ''
}

/** What a stranger says goes to people's screens. */
function cleaned(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ').slice(0, 200)
}

const passing = new Set([
  ...['SlowDown', 'InternalError', 'ServiceUnavailable', 'RequestTimeout', 'Throttling'],
  ...['ConditionalRequestConflict', 'OperationAborted', 'RequestLimitExceeded', 'SlowDownWrite'],
  ...[
    'SlowDownRead',
    'RequestTimeoutException',
    'ThrottlingException',
    'XMinioServerNotInitialized',
  ],
])

/** Whether it is worth another try. */
export function isPassing({ status }: ClientAnswer, { code }: S3Refusal): boolean {
  return status === 429 || (status >= 500 && code !== 'NotImplemented') || passing.has(code)
}

/** The error of a refusal; ENOENT where there is no such object. */
export function errorOf(refusal: S3Refusal, at: string, settings: S3Settings): DiskError {
  const { code, message } = refusal
  if (code === 'NoSuchKey') return new DiskError('ENOENT', at, { message: `${at} is not there` })
  const advice = adviceOn(refusal, settings)
  const { sessionToken } = settings.credentials
  const shown = sessionToken === null ? message : message.replaceAll(sessionToken, '[hidden]')
  const said = [code, shown].filter((text) => text !== '').join(': ')
  return new DiskError(code, at, { message: `${said}${advice === '' ? '' : ` (${advice})`}` })
}

function adviceOn({ code, region }: S3Refusal, { bucket, endpoint, region: ours }: S3Settings) {
  if (region !== '' && region !== ours)
    return `bucket ${bucket} is in region ${region}, not ${ours}: set AWS_REGION`
  switch (code) {
    case 'NoSuchBucket':
      return `there is no bucket ${bucket} at ${endpoint}`
    case 'AccessDenied':
      return `who has this access key may not do that in bucket ${bucket}`
    case 'SignatureDoesNotMatch':
      return 'the secret access key is not that of the access key'
    case 'InvalidAccessKeyId':
      return `the access key is not known at ${endpoint}`
    case 'ExpiredToken':
      return 'the session token has expired'
    case 'RequestTimeTooSkewed':
      return "this machine's clock is wrong"
    case 'PermanentRedirect':
    case 'TemporaryRedirect':
      return `bucket ${bucket} is elsewhere: set AWS_REGION or AWS_ENDPOINT_URL`
    case 'NotImplemented':
      return `${endpoint} lacks what tables need`
    default:
      return ''
  }
}

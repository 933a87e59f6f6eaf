/**
 * Where an object store is and who asks, by the names that AWS's own programs and delta-rs use: `AWS_ENDPOINT_URL_S3`,
 * `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`,
 * `AWS_SESSION_TOKEN`, `AWS_VIRTUAL_HOSTED_STYLE_REQUEST`; and else the profile `AWS_PROFILE` of the files that these
 * programs keep.
 */
import { invalid } from '../delta/delta-error.ts'
import type { Credentials } from './signature.ts'

export interface S3Settings {
  readonly bucket: string
  /** What the names of all objects begin with; empty, or with a slash at its end. */
  readonly prefix: string
  /** Without a slash at its end. */
  readonly endpoint: string
  readonly region: string
  /** The bucket is a part of the path, not of the host's name. */
  readonly isPathStyle: boolean
  readonly credentials: Credentials
}

/** Variables by name, those that are empty among them. */
export type Variables = Readonly<Record<string, string | undefined>>

const scheme = /^s3a?:\/\//i
const bucketName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/

/** Whether a location is that of an object store, and not a directory. */
export function isObjectLocation(location: string): boolean {
  return scheme.test(location)
}

/** Of a location like `s3://bucket/prefix`. Throws DeltaError. */
export function partsOfLocation(location: string): { bucket: string; prefix: string } {
  const [bucket = '', ...parts] = location.replace(scheme, '').split('/')
  if (!bucketName.test(bucket))
    throw invalid(`${location}: ${bucket || 'nothing'} is no name of a bucket`)
  if (parts.includes('..')) throw invalid(`${location}: there is no .. in object stores`)
  const named = parts.filter((part) => part !== '' && part !== '.')
  return { bucket, prefix: named.map((part) => `${part}/`).join('') }
}

/** `readFile` answers null where there is no such file. Throws DeltaError where something is missing. */
export function s3Settings(
  location: string,
  variables: Variables,
  readFile: (path: string) => string | null,
): S3Settings {
  const { bucket, prefix } = partsOfLocation(location)
  const profile = profileOf(variables, readFile)
  const region =
    variables['AWS_REGION'] || variables['AWS_DEFAULT_REGION'] || profile['region'] || 'us-east-1'
  if (!/^[a-z0-9-]{1,40}$/.test(region)) throw invalid(`AWS_REGION: ${region} is no region`)
  const given = variables['AWS_ENDPOINT_URL_S3'] || variables['AWS_ENDPOINT_URL']
  const style = variables['AWS_VIRTUAL_HOSTED_STYLE_REQUEST']?.toLowerCase()
  return {
    ...{ bucket, prefix, region },
    endpoint: given ? checkedEndpoint(given) : endpointOf(region),
    // Certificates are for names without dots before the store's own.
    isPathStyle: style ? style !== 'true' : given !== undefined || bucket.includes('.'),
    credentials: credentialsOf(variables) ?? credentialsOfProfile(profile) ?? nobody(),
  }
}

function endpointOf(region: string): string {
  return `https://s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
}

/** HTTP without TLS only for who says so, by the address. */
function checkedEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '')
    throw invalid('AWS_ENDPOINT_URL: expected an address like https://host:9000')
  if (url.username !== '' || url.password !== '')
    throw invalid('AWS_ENDPOINT_URL: credentials have settings of their own')
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

function credentialsOf(variables: Variables): Credentials | null {
  const accessKeyId = variables['AWS_ACCESS_KEY_ID']
  const secretAccessKey = variables['AWS_SECRET_ACCESS_KEY']
  if (!accessKeyId && !secretAccessKey) return null
  if (!accessKeyId || !secretAccessKey)
    throw invalid('AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY go together: one is missing')
  return { accessKeyId, secretAccessKey, sessionToken: variables['AWS_SESSION_TOKEN'] || null }
}

function credentialsOfProfile(profile: Variables): Credentials | null {
  const accessKeyId = profile['aws_access_key_id']
  const secretAccessKey = profile['aws_secret_access_key']
  if (!accessKeyId || !secretAccessKey) return null
  return { accessKeyId, secretAccessKey, sessionToken: profile['aws_session_token'] || null }
}

function nobody(): never {
  throw invalid(
    'there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile in ~/.aws/credentials',
  )
}

function profileOf(variables: Variables, readFile: (path: string) => string | null): Variables {
  const name = variables['AWS_PROFILE'] || 'default'
  const home = variables['HOME'] || variables['USERPROFILE'] || ''
  const config = variables['AWS_CONFIG_FILE'] || `${home}/.aws/config`
  const credentials = variables['AWS_SHARED_CREDENTIALS_FILE'] || `${home}/.aws/credentials`
  return {
    ...section(readFile(config), name === 'default' ? name : `profile ${name}`),
    ...section(readFile(credentials), name),
  }
}

/** The lines `name = value` below `[title]`. */
function section(text: string | null, title: string): Record<string, string> {
  const found: Record<string, string> = {}
  let isInside = false
  for (const line of text?.split(/\r?\n/) ?? []) {
    const heading = /^\s*\[\s*(.*?)\s*\]/.exec(line)
    if (heading !== null) isInside = heading[1] === title
    const [, name, value] = /^([a-z_]+)\s*=\s*(.*?)\s*$/.exec(line) ?? []
    if (isInside && name !== undefined) found[name] = value!
  }
  return found
}

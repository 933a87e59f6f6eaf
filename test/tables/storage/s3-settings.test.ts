/** Where an object store is and who asks, from variables and files. */
import t from 'tap'
import { S3Client } from '../../../src/tables/storage/s3-client.ts'
import {
  isObjectLocation,
  s3Settings,
  type Variables,
} from '../../../src/tables/storage/s3-settings.ts'
import { HurriedWorld } from './s3-world.ts'

const mine = { AWS_ACCESS_KEY_ID: 'A', AWS_SECRET_ACCESS_KEY: 'S' }
const settings = (
  variables: Variables,
  location = 's3://lake/a//./b/',
  files: Record<string, string> = {},
) => s3Settings(location, variables, (path) => files[path] ?? null)

t.test('locations', async (t) => {
  t.ok(isObjectLocation('s3://b/x') && isObjectLocation('s3a://b'))
  t.notOk(
    isObjectLocation('/data/s3://b') || isObjectLocation('file:///x') || isObjectLocation('C:\\x'),
  )
  t.match(settings(mine), { bucket: 'lake', prefix: 'a/b/' })
  t.match(settings(mine, 's3://lake'), { bucket: 'lake', prefix: '' })
  for (const location of ['s3://', 's3:///x', 's3://UPPER/x', 's3://a@b/x', 's3://lake/a/../b'])
    t.throws(() => settings(mine, location), { name: 'DeltaError' }, location)
})

t.test('addresses', async (t) => {
  const urlOf = async (variables: Variables, location?: string) => {
    const world = new HurriedWorld()
    let asked = ''
    const http = async (url: string) => {
      asked = url
      return { status: 200, headers: {}, body: Buffer.alloc(0) }
    }
    const { clock, random, timers } = world
    const client = new S3Client(settings({ ...mine, ...variables }, location), {
      clock,
      random,
      timers,
      http,
    })
    await client.ask({ method: 'GET', key: 'a b/c' })
    return asked
  }
  const cases: [Variables, string, string?][] = [
    [{}, 'https://lake.s3.us-east-1.amazonaws.com/a%20b/c'],
    [{ AWS_DEFAULT_REGION: 'eu-west-1' }, 'https://lake.s3.eu-west-1.amazonaws.com/a%20b/c'],
    [{ AWS_REGION: 'cn-north-1' }, 'https://lake.s3.cn-north-1.amazonaws.com.cn/a%20b/c'],
    [{}, 'https://s3.us-east-1.amazonaws.com/my.lake/a%20b/c', 's3://my.lake'],
    [{ AWS_ENDPOINT_URL: 'http://[::1]:9000/' }, 'http://[::1]:9000/lake/a%20b/c'],
    [{ AWS_ENDPOINT_URL: 'https://x/s3/' }, 'https://x/s3/lake/a%20b/c'],
    [{ AWS_ENDPOINT_URL: 'https://x', AWS_ENDPOINT_URL_S3: 'https://y' }, 'https://y/lake/a%20b/c'],
    [
      { AWS_ENDPOINT_URL: 'https://x:1', AWS_VIRTUAL_HOSTED_STYLE_REQUEST: 'true' },
      'https://lake.x:1/a%20b/c',
    ],
    [
      { AWS_VIRTUAL_HOSTED_STYLE_REQUEST: 'false' },
      'https://s3.us-east-1.amazonaws.com/lake/a%20b/c',
    ],
  ]
  for (const [variables, url, location] of cases) t.equal(await urlOf(variables, location), url)
  for (const AWS_ENDPOINT_URL of ['x', 'ftp://x', 'http://u:p@x', 'http://x/?y'])
    t.throws(() => settings({ ...mine, AWS_ENDPOINT_URL }), {
      name: 'DeltaError',
      message: /AWS_ENDPOINT_URL/,
    })
  t.throws(() => settings({ ...mine, AWS_REGION: 'a/b' }), { message: /is no region/ })
})

t.test('credentials', async (t) => {
  const files = {
    '/h/.aws/credentials':
      '[other]\naws_access_key_id = O\naws_secret_access_key=o=o \n\n[default]\n# none\naws_access_key_id = D\naws_secret_access_key = d\naws_session_token = t\n',
    '/h/.aws/config': '[default]\r\nregion = eu-1\r\n[profile other]\r\nregion = eu-2\r\n',
  }
  const home = { HOME: '/h', AWS_ENDPOINT_URL: '' }
  t.match(settings({ ...home, ...mine }, 's3://lake', files), {
    credentials: { accessKeyId: 'A', secretAccessKey: 'S', sessionToken: null },
  })
  t.match(settings(home, 's3://lake', files), {
    region: 'eu-1',
    credentials: { accessKeyId: 'D', secretAccessKey: 'd', sessionToken: 't' },
  })
  t.match(settings({ ...home, AWS_PROFILE: 'other' }, 's3://lake', files), {
    region: 'eu-2',
    credentials: { accessKeyId: 'O', secretAccessKey: 'o=o', sessionToken: null },
  })
  t.throws(() => settings({ ...home, AWS_PROFILE: 'none' }, 's3://lake', files), {
    message: /no credentials/,
  })
  t.throws(() => settings({ AWS_ACCESS_KEY_ID: 'A' }), { message: /one is missing/ })
})

/** Signatures against those that AWS publishes: its test suite, and the examples of S3's documentation. */
import t, { type Test } from 'tap'
import { authorizationOf, escapedText, sha256 } from '../../../src/tables/storage/signature.ts'

interface Vector {
  readonly method: string
  readonly path: string
  readonly query?: readonly (readonly [string, string])[]
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
  readonly signature: string
}

function check(t: Test, vectors: readonly Vector[], sign: (vector: Vector) => string): void {
  for (const vector of vectors) {
    const name = `${vector.method} ${vector.path} ${vector.query ?? ''}`
    t.equal(/Signature=(\w+)$/.exec(sign(vector))?.[1], vector.signature, name)
  }
}

t.test('the test suite of Signature Version 4', async (t) => {
  const time = '20150830T123600Z'
  const credentials = {
    accessKeyId: 'AKIDEXAMPLE',
    secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
    sessionToken: null,
  }
  const sign = ({ method, path, query = [], headers, body = '' }: Vector) =>
    authorizationOf(
      {
        ...{ method, path, query, bodyHash: sha256(body) },
        headers: { Host: 'example.amazonaws.com', 'X-Amz-Date': time, ...headers },
      },
      credentials,
      { region: 'us-east-1', service: 'service', time },
    )
  check(
    t,
    [
      {
        ...{ method: 'GET', path: '/' },
        signature: '5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
      },
      {
        ...{ method: 'POST', path: '/' },
        signature: '5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b',
      },
      {
        ...{ method: 'GET', path: '/' },
        query: [
          ['Param2', 'value2'],
          ['Param1', 'value1'],
        ],
        signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
      },
    ],
    sign,
  )
  t.equal(
    sign({ method: 'GET', path: '/', signature: '' }).replace(/Signature=.*/, ''),
    'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, ',
  )
})

t.test('an older vector of it, of a service for which paths are escaped twice', async (t) => {
  const authorization = authorizationOf(
    {
      ...{ method: 'GET', path: '/%25E1%2588%25B4', query: [], bodyHash: sha256('') },
      headers: { Date: 'Mon, 09 Sep 2011 23:36:00 GMT', Host: 'host.foo.com' },
    },
    {
      accessKeyId: 'AKIDEXAMPLE',
      secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      sessionToken: null,
    },
    { region: 'us-east-1', service: 'host', time: '20110909T233600Z' },
  )
  t.match(
    authorization,
    /Signature=57b1eb3df3b16a8479c0097b66c0b261cfd65b829419a3f2c3d05319722490b8$/,
  )
  t.equal(escapedText("ሴ a+b~!'()*"), '%E1%88%B4%20a%2Bb~%21%27%28%29%2A')
})

t.test('the examples of S3', async (t) => {
  const time = '20130524T000000Z'
  const sign = ({ method, path, query = [], headers, body = '' }: Vector) =>
    authorizationOf(
      {
        ...{ method, path, query, bodyHash: sha256(body) },
        headers: {
          host: 'examplebucket.s3.amazonaws.com',
          'x-amz-content-sha256': sha256(body),
          'x-amz-date': time,
          ...headers,
        },
      },
      {
        accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
        secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
        sessionToken: null,
      },
      { region: 'us-east-1', service: 's3', time },
    )
  check(
    t,
    [
      {
        ...{ method: 'GET', path: '/test.txt', headers: { range: 'bytes=0-9' } },
        signature: 'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
      },
      {
        ...{ method: 'PUT', path: '/test%24file.text', body: 'Welcome to Amazon S3.' },
        headers: {
          date: 'Fri, 24 May 2013 00:00:00 GMT',
          'x-amz-storage-class': 'REDUCED_REDUNDANCY',
        },
        signature: '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
      },
      {
        ...{ method: 'GET', path: '/', query: [['lifecycle', '']] },
        signature: 'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
      },
      {
        ...{ method: 'GET', path: '/' },
        query: [
          ['max-keys', '2'],
          ['prefix', 'J'],
        ],
        signature: '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
      },
    ],
    sign,
  )
})

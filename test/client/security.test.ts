/**
 * TLS and SASL: what settings say, whom a client believes, and how it shows who it is. SASL against a broker that
 * answers as the test says, in virtual time; TLS over real sockets.
 */
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { join } from 'node:path'
import tls from 'node:tls'
import t, { type Test } from 'tap'
import { apis } from '../../protocol/apis.ts'
import { errors } from '../../protocol/errors.ts'
import { type ScramMechanism, saltPassword, scramKeys, scramProof } from '../../protocol/scram.ts'
import { Cluster } from '../../src/client/cluster.ts'
import { TlsError } from '../../src/client/failures.ts'
import { readSecurity } from '../../src/client/security.ts'
import { NodeDisk } from '../../src/environment/node/disk.ts'
import { createNodeEnvironment } from '../../src/environment/node/environment.ts'
import { SimulatedWorld } from '../simulator/simulated-world.ts'
import * as certificates from './certificates.ts'
import { ScriptedBroker } from './scripted-broker.ts'

const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required'
const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required'
const securityOf = (settings: Readonly<Record<string, string>>) =>
  readSecurity(new Map(Object.entries(settings)), new NodeDisk())

t.test('settings have Kafka’s names, and what cannot be used is refused', (t) => {
  t.same(securityOf({}), { tls: null, sasl: null })
  t.same(
    securityOf({
      'security.protocol': 'sasl_plaintext',
      'sasl.mechanism': 'PLAIN',
      'sasl.jaas.config': `${plain} username="al\\"ice" password='a=b;c' ;`,
    }).sasl,
    {
      mechanism: 'PLAIN',
      username: 'al"ice',
      password: 'a=b;c',
      isToken: false,
    },
  )
  const { authority, brokerCertificate: chain, brokerKey: key } = certificates
  const directory = t.testdir({ 'ca.pem': authority, 'own.pem': `${key}\n${chain}`, empty: '' })
  const ssl = { 'security.protocol': 'SSL' }
  const trust = { ...ssl, 'ssl.truststore.type': 'PEM' }
  const own = { ...ssl, 'ssl.keystore.type': 'PEM' }
  const inFiles = securityOf({
    ...trust,
    ...own,
    'ssl.truststore.location': join(directory, 'ca.pem'),
    'ssl.keystore.location': join(directory, 'own.pem'),
    'ssl.endpoint.identification.algorithm': '',
    'ssl.enabled.protocols': 'TLSv1.3',
  }).tls
  t.match(inFiles, { authorities: authority, checksHost: false, versionMin: 'TLSv1.3' })
  t.match(inFiles?.identity, { chain: `${key}\n${chain}`, key: `${key}\n${chain}` })
  t.match(securityOf(ssl).tls, {
    authorities: null,
    identity: null,
    checksHost: true,
    versionMin: 'TLSv1.2',
    versionMax: 'TLSv1.3',
  })
  const sasl = { 'security.protocol': 'SASL_SSL', 'sasl.mechanism': 'SCRAM-SHA-256' }
  const jaas = (text: string) => ({ ...sasl, 'sasl.jaas.config': text })
  const cases: [Readonly<Record<string, string>>, RegExp][] = [
    [{ 'security.protocol': 'TLS' }, /security.protocol: String must be one of/],
    [{ 'security.protocol': 'SASL_SSL' }, /sasl.mechanism=GSSAPI is not offered here/],
    [sasl, /sasl.jaas.config is missing/],
    [jaas(`${plain} username="a" password="b";`), /begins with .*ScramLoginModule/],
    [jaas('org.apache.kafka.common.security.scram.ScramLoginModule username="a";'), /required/],
    [jaas(`${scram} username="a" password="b"`), /ends with a semicolon/],
    [jaas(`${scram} username="a" password="b;`), /no end/],
    [jaas(`${scram} username;`), /name="value"/],
    [jaas(`${scram} username="a";`), /needs username and password/],
    [{ ...ssl, 'ssl.truststore.location': '/none' }, /ssl.truststore.type=JKS cannot be read here/],
    [{ ...trust, 'ssl.truststore.location': '/none' }, /there is no such file/],
    [{ ...trust, 'ssl.truststore.location': join(directory, 'empty') }, /no certificate in PEM/],
    [
      { ...trust, 'ssl.truststore.location': '/none', 'ssl.truststore.certificates': authority },
      /not given together/,
    ],
    [{ ...own, 'ssl.keystore.certificate.chain': chain }, /both, or neither/],
    [
      { ...own, 'ssl.keystore.certificate.chain': chain, 'ssl.keystore.key': chain },
      /no private key/,
    ],
    [{ ...ssl, 'ssl.enabled.protocols': 'SSLv3' }, /names none of/],
    [{ ...ssl, 'ssl.endpoint.identification.algorithm': 'http' }, /is unknown/],
  ]
  for (const [settings, says] of cases) t.throws(() => securityOf(settings), says)
  t.end()
})

interface Parts {
  readonly world: SimulatedWorld
  readonly broker: ScriptedBroker
  readonly cluster: (mechanism: string, jaas: string) => Cluster
}

function scripted(run: (t: Test, parts: Parts) => Promise<void>) {
  return async (t: Test) => {
    const world = new SimulatedWorld(1)
    const { environment } = world.start('broker')
    const client = world.start('client').environment
    const cluster = (mechanism: string, jaas: string) =>
      new Cluster(client, {
        bootstrap: [{ host: 'broker', port: 9092 }],
        operationTimeoutMs: 5000,
        security: securityOf({
          'security.protocol': 'SASL_PLAINTEXT',
          'sasl.mechanism': mechanism,
          'sasl.jaas.config': jaas,
        }),
      })
    await world.run(
      (async () => {
        const broker = await ScriptedBroker.start(environment, 'broker')
        broker.topics.set('t', [1])
        await run(t, { world, broker, cluster })
      })(),
    )
  }
}

/** What a broker does that knows `password`, as RFC 5802 has it. */
function scramBroker(broker: ScriptedBroker, mechanism: ScramMechanism, password: string) {
  const told = {
    iterations: 4096,
    nonce: 'theirs',
    lifetimeMs: 0,
    signature: null as string | null,
  }
  let said = ''
  broker.answers.saslHandshake = ({ mechanism: asked }) => ({
    errorCode: asked === mechanism ? 0 : errors.UNSUPPORTED_SASL_MECHANISM.code,
    mechanisms: [mechanism],
  })
  const answer = (text: string) => ({
    errorCode: 0,
    errorMessage: null,
    authBytes: Buffer.from(text),
    sessionLifetimeMs: told.lifetimeMs,
  })
  const salt = Buffer.from('salt of the earth')
  broker.answers.saslAuthenticate = ({ authBytes }) => {
    const text = Buffer.from(authBytes).toString()
    if (text.startsWith('n,,')) {
      const nonce = /r=([^,]+)/.exec(text)?.[1]
      const first = `r=${nonce}${told.nonce},s=${salt.toString('base64')},i=${told.iterations}`
      said = `${text.slice(3)},${first}`
      return answer(first)
    }
    const [withoutProof = '', proof] = text.split(',p=')
    const salted = saltPassword(mechanism, password, salt, told.iterations)
    const right = scramProof(mechanism, salted, `${said},${withoutProof}`)
    if (proof !== right.proof.toString('base64'))
      return { ...answer(''), errorCode: 58, errorMessage: 'invalid credentials' }
    return answer(told.signature ?? `v=${right.signature.toString('base64')}`)
  }
  return told
}

t.test(
  'a password is said, and a wrong one is not tried again',
  scripted(async (t, { broker, cluster }) => {
    broker.answers.saslHandshake = () => ({ errorCode: 0, mechanisms: ['PLAIN'] })
    broker.answers.saslAuthenticate = ({ authBytes }) => ({
      errorCode: Buffer.from(authBytes).toString() === '\0alice\0right' ? 0 : 58,
      errorMessage: 'Authentication failed: Invalid username or password',
      authBytes: Buffer.alloc(0),
      sessionLifetimeMs: 0,
    })
    const right = cluster('PLAIN', `${plain} username="alice" password="right";`)
    t.equal((await right.topic('t')).name, 't')
    t.same(
      broker.received.map(({ name }) => name),
      ['ApiVersions', 'SaslHandshake', 'SaslAuthenticate', 'Metadata'],
    )
    right.close()
    broker.received.length = 0
    const wrong = cluster('PLAIN', `${plain} username="alice" password="wrong";`)
    await t.rejects(wrong.topic('t'), {
      message: 'Authentication failed: Invalid username or password',
    })
    t.equal(broker.requests('saslAuthenticate').length, 1)
    wrong.close()
  }),
)

t.test(
  'both sides of SCRAM prove that they know the password',
  scripted(async (t, { broker, cluster }) => {
    for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
      const told = scramBroker(broker, mechanism, 'pencil')
      const ask = async (password: string, username = 'us=e,r') => {
        const asking = cluster(mechanism, `${scram} username="${username}" password="${password}";`)
        try {
          return (await asking.topic('t')).name
        } finally {
          asking.close()
        }
      }
      t.equal(await ask('pencil'), 't')
      const [first] = broker.requests('saslAuthenticate').slice(-2)
      t.match(Buffer.from(first!.authBytes).toString(), /^n,,n=us=3De=2Cr,r=[\w-]{32}$/)
      await t.rejects(ask('pen'), { message: 'invalid credentials' })
      for (const [change, says] of [
        [{ iterations: 100_001 }, /100001 iterations/],
        [{ iterations: 1 }, /1 iterations/],
        [{ nonce: '' }, /another exchange/],
        [{ nonce: ',' }, /none of SCRAM/],
        [{ signature: 'v=AAAA' }, /does not know the password either/],
        [{ signature: 'e=other-error' }, /does not know the password either/],
      ] as const) {
        const before = { ...told }
        Object.assign(told, change)
        await t.rejects(ask('pencil'), {
          error: { name: 'SASL_AUTHENTICATION_FAILED' },
          message: says,
        })
        Object.assign(told, before)
      }
    }
    const other = cluster('PLAIN', `${plain} username="a" password="b";`)
    await t.rejects(other.topic('t'), {
      message: 'broker:9092 offers SCRAM-SHA-512 there, and not PLAIN',
    })
    other.close()
  }),
)

t.test('the vector of RFC 7677', (t) => {
  const salted = saltPassword(
    'SCRAM-SHA-256',
    'pencil',
    Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'),
    4096,
  )
  const said =
    'n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  const { proof, signature } = scramProof('SCRAM-SHA-256', salted, said)
  t.equal(proof.toString('base64'), 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=')
  t.equal(signature.toString('base64'), '6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
  t.equal(scramKeys('SCRAM-SHA-256', salted).storedKey.length, 32)
  t.end()
})

t.test(
  'before a session is over another connection is made',
  scripted(async (t, { world, broker, cluster }) => {
    const told = scramBroker(broker, 'SCRAM-SHA-256', 'pencil')
    told.lifetimeMs = 10_000
    const client = cluster('SCRAM-SHA-256', `${scram} username="u" password="pencil";`)
    const connection = await client.anyConnection()
    const rest = (ms: number) => new Promise<void>((resolve) => broker.after(ms, resolve))
    broker.answers.listGroups = async () => {
      await rest(8000)
      return { errorCode: 0, groups: [] }
    }
    await rest(5000)
    t.ok(connection.isOpen)
    const answer = await connection.call(apis.listGroups, {})
    t.same(answer.groups, [], 'what is under way is waited for')
    t.notOk(connection.isOpen)
    t.not(await client.anyConnection(), connection)
    t.equal(broker.connections, 2)
    client.close()
    t.ok(world.nowMs > 12_000)
  }),
)

t.test('TLS: whom the client believes, and who it is', async (t) => {
  const environment = createNodeEnvironment({ log: { level: 'silent' } })
  const broker = await ScriptedBroker.start(environment, '127.0.0.1', 0)
  broker.topics.set('t', [1])
  const { authority, brokerCertificate, brokerKey, clientCertificate, clientKey } = certificates
  const seen: unknown[] = []
  const front = async (needsClient: boolean): Promise<number> => {
    const server = tls.createServer(
      { cert: brokerCertificate, key: brokerKey, ca: authority, requestCert: needsClient },
      (secured) => {
        seen.push(secured.getPeerCertificate().subject?.CN)
        const inside = net.connect(broker.listeningPort, '127.0.0.1')
        secured.pipe(inside).pipe(secured)
        for (const socket of [secured, inside]) socket.on('error', () => undefined)
      },
    )
    server.on('tlsClientError', () => undefined).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    return (server.address() as AddressInfo).port
  }
  const ask = async (
    port: number,
    settings: Readonly<Record<string, string>>,
    host = '127.0.0.1',
  ) => {
    broker.nodes = [{ nodeId: 1, host, port }]
    const security = securityOf({
      'security.protocol': 'SSL',
      'ssl.truststore.type': 'PEM',
      ...settings,
    })
    const cluster = new Cluster(environment, {
      ...{ bootstrap: [{ host, port }], security },
      ...{ operationTimeoutMs: 5000, bootstrapTimeoutMs: 0, connectTimeoutMs: 5000 },
    })
    try {
      // More than one record of TLS.
      const long = 'x'.repeat(30_000)
      broker.answers.listGroups = ({ statesFilter }) => ({
        errorCode: 0,
        groups: [{ groupId: statesFilter[0]!, protocolType: '' }],
      })
      const { groups } = await cluster.callAny(apis.listGroups, { statesFilter: [long] })
      return groups[0]!.groupId.length
    } finally {
      cluster.close()
    }
  }
  const believed = { 'ssl.truststore.certificates': authority }
  const open = await front(false)
  t.equal(await ask(open, believed), 30_000)
  await t.rejects(ask(open, {}), TlsError, 'an authority that nobody has named')
  await t.rejects(ask(open, believed, 'localhost'), {
    name: 'TlsError',
    message: /ALTNAME|does not match/,
  })
  t.equal(
    await ask(open, { ...believed, 'ssl.endpoint.identification.algorithm': '' }, 'localhost'),
    30_000,
  )
  const closed = await front(true)
  const shown = {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.certificate.chain': clientCertificate,
    'ssl.keystore.key': clientKey,
    'ssl.key.password': 'tops3cret',
  }
  t.equal(await ask(closed, { ...believed, ...shown }), 30_000)
  t.same([...new Set(seen)], [undefined, 'client'])
  await t.rejects(ask(closed, believed), {
    name: 'TlsError',
    message: /: tlsv13 alert certificate required$/,
  })
  await t.rejects(ask(closed, { ...believed, ...shown, 'ssl.key.password': 'wrong' }), TlsError)
  await broker.close()
})

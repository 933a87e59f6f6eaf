/** References in settings: what they stand for reaches connectors, and nobody who reads what is kept or told. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ConfigProviders } from '../../src/connect/config-providers.ts'
import { NodeDisk } from '../../src/environment/node/disk.ts'
import { WorkerTrial } from './worker-trial.ts'

const prefix = 'org.apache.kafka.common.config.provider'

t.test('files, directories and variables, as far as they may be read', (t) => {
  const root = t.testdir({
    open: { 'db.properties': 'user=me\npassword = s3:cr=et\n', token: 'abc\n', deep: {} },
    shut: { 'db.properties': 'password=other' },
  })
  const open = join(root, 'open')
  const providers = new ConfigProviders(
    new Map([
      ['config.providers', 'f, d,e'],
      ['config.providers.f.class', `${prefix}.FileConfigProvider`],
      ['config.providers.f.param.allowed.paths', open],
      ['config.providers.d.class', `${prefix}.DirectoryConfigProvider`],
      ['config.providers.e.class', `${prefix}.EnvVarConfigProvider`],
      ['config.providers.e.param.allowlist.pattern', 'DB_.*'],
    ]),
    { disk: new NodeDisk(), variables: { DB_HOST: 'db', PATH: '/bin' } },
  )
  const resolved = (text: string) => providers.resolve(new Map([['x', text]])).get('x')
  const file = join(open, 'db.properties')
  t.equal(resolved(`\${f:${file}:user}:\${f:${file}:password}@\${e:DB_HOST}`), 'me:s3:cr=et@db')
  t.equal(resolved(`\${d:${open}:token}`), 'abc\n')
  const left = [
    `\${f:${file}:none}`,
    `\${f:${join(root, 'shut', 'db.properties')}:password}`,
    `\${f:${join(open, '..', 'shut', 'db.properties')}:password}`,
    `\${d:${open}:../shut/db.properties}`,
    `\${d:${open}:deep}`,
    '${e:PATH}',
    '${nobody:a:b}',
    '${plain}',
    '$1',
  ]
  for (const text of left) t.equal(resolved(text), text)
  t.throws(
    () => resolved(`\${f:${join(open, 'missing')}:a}`),
    /Could not read properties from file/,
  )
  const wrong = new Map([
    ['config.providers', 'v'],
    ['config.providers.v.class', 'VaultConfigProvider'],
  ])
  const surroundings = { disk: new NodeDisk(), variables: {} }
  t.throws(
    () => new ConfigProviders(wrong, surroundings),
    /VaultConfigProvider.*FileConfigProvider/s,
  )
  t.end()
})

t.test(
  'a connector gets what a reference stands for; REST and the topics keep the reference',
  async (t) => {
    const directory = t.testdir({})
    const [secrets, output] = [join(directory, 'secrets'), join(directory, 'out.txt')]
    writeFileSync(secrets, `path=${output}\n`)
    const trial = await WorkerTrial.start()
    t.teardown(() => trial.stop())
    await trial.topic('t')
    await trial.produce('t', ['one'])
    const reference = `\${file:${secrets}:path}`
    const config = { 'connector.class': 'FileStreamSink', topics: 't', file: reference }
    const made = await trial.ask('POST', '/connectors', { name: 'out', config })
    t.equal(made.status, 201, JSON.stringify(made.body))
    t.equal(made.body.config.file, reference)
    await trial.until('the line is out', () => existsSync(output))
    await trial.until('all of it', () => readFileSync(output, 'utf8') === 'one\n')
    const tasks = await trial.ask('GET', '/connectors/out/tasks')
    t.equal(tasks.body[0].config.file, reference)
    const told = await trial.ask('PUT', '/connector-plugins/FileStreamSink/config/validate', {
      ...config,
      name: 'x',
    })
    t.equal(told.body.error_count, 0)
    t.notOk(JSON.stringify(told.body).includes(output))
    const kept = await trial.consume('connect-configs', 3)
    t.ok(kept.length >= 3)
    for (const { value } of kept) t.notOk(value?.toString().includes(output))

    // One that cannot be read any more stops nobody from putting it right.
    const gone = await trial.ask('PUT', '/connectors/out/config', {
      ...config,
      file: `\${file:${secrets}.gone:path}`,
    })
    t.equal(gone.status, 400)
    t.match(gone.body.message, /Could not read properties from file/)
    await trial.stopWorker()
    writeFileSync(secrets, '')
    await trial.startWorker()
    const other = join(directory, 'other.txt')
    const changed = await trial.ask('PUT', '/connectors/out/config', { ...config, file: other })
    t.equal(changed.status, 200)
    await trial.produce('t', ['two'])
    await trial.until('the other file is written', () => {
      return existsSync(other) && readFileSync(other, 'utf8').endsWith('two\n')
    })
  },
)

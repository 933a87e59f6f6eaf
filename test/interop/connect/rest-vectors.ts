/**
 * The same requests to a worker of Apache Kafka and to one of ours, which have the group's topics one after the other:
 * what Kafka Connect answers to each is expected here, and both have to answer it.
 */
import { join } from 'node:path'
import type { GroupWorker, Maker } from './workers.ts'

export interface VectorParts {
  readonly start: (maker: Maker) => Promise<GroupWorker>
  readonly end: (worker: GroupWorker) => Promise<void>
  readonly directory: string
}

interface Vector {
  readonly method: string
  readonly path: string
  readonly body?: unknown
  readonly status: number
  /** Of ours, where it is another: Kafka takes some mistakes of who asks for its own. */
  readonly ours?: number
}

const partition = { kafka_topic: 'lines', kafka_partition: 0 }
const sunk = (...rows: unknown[]) => ({ offsets: rows })

const get = (path: string, status: number): Vector => ({ method: 'GET', path, status })
const put = (path: string, status: number, body?: unknown): Vector => ({
  ...{ method: 'PUT', path, status },
  ...(body === undefined ? {} : { body }),
})
const post = (path: string, status: number, body?: unknown): Vector => ({
  ...put(path, status, body),
  method: 'POST',
})
const patch = (path: string, status: number, body: unknown): Vector => ({
  ...put(path, status, body),
  method: 'PATCH',
})
const remove = (path: string, status: number): Vector => ({ method: 'DELETE', path, status })

/** In order: what one leaves is what the next finds. */
function vectorsOf(connector: string, directory: string): readonly Vector[] {
  const config = {
    'connector.class': 'org.apache.kafka.connect.file.FileStreamSinkConnector',
    ...{ file: join(directory, 'vector.txt'), topics: 'lines', name: connector },
  }
  const at = `/connectors/${connector}`
  const offsets = `${at}/offsets`
  const plugin = '/connector-plugins/FileStreamSinkConnector'
  return [
    get('/', 200),
    get('/nothing', 404),
    remove('/connectors', 405),
    get('/connectors/none', 404),
    get('/connectors/none/config', 404),
    get('/connectors/none/status', 404),
    get('/connectors/none/tasks', 404),
    get('/connectors/none/offsets', 404),
    patch('/connectors/none/offsets', 404, sunk({ partition, offset: { kafka_offset: 1 } })),
    patch('/connectors/none/config', 404, { a: 'b' }),
    remove('/connectors/none/offsets', 404),
    remove('/connectors/none', 404),
    put('/connectors/none/pause', 404),
    put('/connectors/none/resume', 404),
    put('/connectors/none/stop', 404),
    post('/connectors/none/restart', 404),
    post('/connectors/none/tasks/0/restart', 404),
    post('/connectors', 400, { name: connector, config: { ...config, 'connector.class': '' } }),
    post('/connectors', 400, { name: connector, config: { ...config, name: 'other' } }),
    post('/connectors', 400, { name: connector, config: { ...config, 'tasks.max': '0' } }),
    post('/connectors', 400, { name: connector, config: { ...config, topics: '' } }),
    {
      ...post('/connectors', 500, { name: connector, config, initial_state: 'DESTROYED' }),
      ours: 400,
    },
    post('/connectors', 201, { name: connector, config, initial_state: 'STOPPED' }),
    post('/connectors', 409, { name: connector, config }),
    get(at, 200),
    get(`${at}/config`, 200),
    get(`${at}/tasks`, 200),
    get(`${at}/topics`, 200),
    get(`${at}/tasks/0/status`, 404),
    // Offsets of one that is stopped.
    get(offsets, 200),
    patch(offsets, 400, {}),
    patch(offsets, 400, sunk()),
    patch(offsets, 400, sunk({ partition: null, offset: { kafka_offset: 1 } })),
    patch(offsets, 400, sunk({ offset: { kafka_offset: 1 } })),
    patch(offsets, 400, sunk({ partition: {}, offset: { kafka_offset: 1 } })),
    patch(offsets, 400, sunk({ partition: { kafka_topic: 'lines' }, offset: { kafka_offset: 1 } })),
    patch(offsets, 400, sunk({ partition: { kafka_partition: 0 }, offset: { kafka_offset: 1 } })),
    patch(
      offsets,
      400,
      sunk({ partition: { ...partition, kafka_partition: 'x' }, offset: { kafka_offset: 1 } }),
    ),
    patch(offsets, 400, sunk({ partition, offset: {} })),
    patch(offsets, 400, sunk({ partition, offset: { kafka_offset: 'x' } })),
    patch(offsets, 200, sunk({ partition, offset: { kafka_offset: 5 } })),
    get(offsets, 200),
    patch(offsets, 200, sunk({ partition, offset: { kafka_offset: '7' } })),
    get(offsets, 200),
    patch(offsets, 200, sunk({ partition, offset: null })),
    get(offsets, 200),
    patch(offsets, 200, sunk({ partition, offset: { kafka_offset: 3 } })),
    remove(offsets, 200),
    get(offsets, 200),
    // What is repeated changes nothing.
    put(`${at}/stop`, 204),
    put(`${at}/stop`, 204),
    put(`${at}/pause`, 202),
    put(`${at}/pause`, 202),
    patch(offsets, 400, sunk({ partition, offset: { kafka_offset: 1 } })),
    remove(offsets, 400),
    put(`${at}/resume`, 202),
    put(`${at}/resume`, 202),
    post(`${at}/restart`, 204),
    post(`${at}/restart?includeTasks=true`, 202),
    post(`${at}/restart?includeTasks=true&onlyFailed=true`, 202),
    post(`${at}/tasks/9/restart`, 404),
    patch(`${at}/config`, 200, { 'tasks.max': '2', file: null }),
    get(`${at}/config`, 200),
    put(`${at}/config`, 200, config),
    put(`${at}/config`, 400, { ...config, topics: '' }),
    put(`${at}/topics/reset`, 202),
    put(`${at}/fence`, 400),
    post(`${at}/tasks`, 400, [config]),
    put(`${plugin}/config/validate`, 200, config),
    { ...put(`${plugin}/config/validate`, 500, {}), ours: 200 },
    put('/connector-plugins/Nothing/config/validate', 400, config),
    remove(at, 204),
    remove(at, 404),
  ]
}

interface Heard {
  readonly status: number
  readonly said: string
}

/** The outcome of one maker's worker after the other: a check, whether it is as expected, and what is told of it. */
export async function askVectors({
  start,
  end,
  directory,
}: VectorParts): Promise<[string, boolean, string][]> {
  const heard = new Map<Maker, Heard[]>()
  const outcomes: [string, boolean, string][] = []
  for (const maker of ['Apache', 'Millrace'] as const) {
    const worker = await start(maker)
    const vectors = vectorsOf(`vector-${maker}`, directory)
    const answers: Heard[] = []
    for (const vector of vectors) answers.push(await hear(worker, vector))
    await end(worker)
    heard.set(maker, answers)
    const wrong = vectors.flatMap(({ method, path, status, ours = status }, number) => {
      const expected = maker === 'Millrace' ? ours : status
      const { status: was, said } = answers[number]!
      return was === expected ? [] : [`\n      ${method} ${path} ${was}, not ${expected}: ${said}`]
    })
    const right = `${vectors.length - wrong.length} of ${vectors.length}`
    const detail = `${right} as expected${wrong.join('')}`
    outcomes.push([`REST vectors, ${maker}'s worker`, wrong.length === 0, detail])
  }
  const theirs = heard.get('Apache')!
  const vectors = vectorsOf('vector', directory)
  const differing = heard.get('Millrace')!.flatMap(({ said }, number) => {
    const { method, path } = vectors[number]!
    return said === theirs[number]!.said ? [] : [`${method} ${path}`]
  })
  const same = `${vectors.length - differing.length} of ${vectors.length} in the same words`
  return [...outcomes, ['REST vectors, compared', true, `${same}, but for ${differing.join(', ')}`]]
}

async function hear(worker: GroupWorker, vector: Vector): Promise<Heard> {
  const { method, path, body: asked, status: expected } = vector
  const { status, body } = await worker.askSettled(method, path, asked, expected)
  return { status, said: wordsOf(body) }
}

/** Without what is each worker's own. */
function wordsOf(body: unknown): string {
  const text = typeof body === 'string' ? body : JSON.stringify(body, sorted)
  return text
    .replaceAll(/vector-(Apache|Millrace)/g, 'vector')
    .replaceAll(/127\.0\.0\.1:\d+/g, 'WORKER')
    .replaceAll(/"commit":"\w+"/g, '"commit":""')
}

function sorted(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A listener with handlers whose answers the test decides, on any environment. */
import { apis } from '../../protocol/apis.ts'
import { errors, KafkaError } from '../../protocol/errors.ts'
import { encodeRequest } from '../../protocol/frame.ts'
import type { InputOf, Message } from '../../protocol/schema.ts'
import type { Environment, Logger } from '../../src/environment/environment.ts'
import type { Steps } from '../../src/environment/in-turns.ts'
import { ServerCounters } from '../../src/server/counters.ts'
import { type AnyHandler, handler } from '../../src/server/handler.ts'
import { type LimitOptions, Limits } from '../../src/server/limits.ts'
import { Listener } from '../../src/server/listener.ts'
import type { RequestContext } from '../../src/server/request-context.ts'
import { Router } from '../../src/server/router.ts'

export interface LogLine {
  readonly level: string
  readonly message: string
  readonly fields: Record<string, unknown>
}

/** Keeps what is logged. */
export function recordingLogger(lines: LogLine[], own: object = {}): Logger {
  const at = (level: string) => (message: string, fields?: object) =>
    void lines.push({ level, message, fields: { ...own, ...fields } })
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (fields) => recordingLogger(lines, { ...own, ...fields }),
  }
}

export class TestServer {
  readonly counters = new ServerCounters()
  readonly lines: LogLine[] = []
  readonly contexts: RequestContext[] = []
  /** ListGroups requests that wait for the test to answer them, oldest first. */
  readonly parked: { resolve: () => void; reject: (error: unknown) => void }[] = []
  /** Correlation ids of the requests that are done with, in that order. */
  readonly done: number[] = []
  /** The size of the value that SaslAuthenticate answers with. */
  replyBytes = 1024 * 1024
  readonly limits: Limits
  listener!: Listener

  static async start(
    environment: Environment,
    limits: Partial<LimitOptions> = {},
  ): Promise<TestServer> {
    const server = new TestServer(environment, limits)
    const log = recordingLogger(server.lines)
    const { counters } = server
    server.listener = await Listener.open(
      { ...environment, log },
      {
        name: 'PLAINTEXT',
        address: { host: '127.0.0.1', port: 0 },
        router: new Router(server.#handlers(), { log, counters }),
        limits: server.limits,
        counters,
      },
    )
    return server
  }

  private constructor(environment: Environment, limits: Partial<LimitOptions>) {
    this.limits = new Limits(environment.clock, limits)
  }

  warnings(): unknown[] {
    return this.lines.filter(({ level }) => level === 'warn').map(({ fields }) => fields.reason)
  }

  #handlers(): AnyHandler[] {
    const onUnsupportedVersion = () => ({
      errorCode: errors.UNSUPPORTED_VERSION.code,
      apiKeys: [{ apiKey: 18, minVersion: 0, maxVersion: 4 }],
    })
    return [
      handler(
        apis.apiVersions,
        (_request, context) => {
          this.contexts.push(context)
          this.done.push(context.correlationId)
          return { errorCode: 0, apiKeys: [] }
        },
        { versions: [0, 4], onUnsupportedVersion },
      ),
      handler(apis.listGroups, async () => {
        await new Promise<void>((resolve, reject) => this.parked.push({ resolve, reject }))
        return { errorCode: 0, groups: [] }
      }),
      handler(apis.describeGroups, async (_request, context) => {
        context.holdNext()
        await new Promise<void>((resolve, reject) => this.parked.push({ resolve, reject }))
        return { groups: [] }
      }),
      handler(apis.syncGroup, async (_request, context) => {
        context.setAside()
        await new Promise<void>((resolve, reject) => this.parked.push({ resolve, reject }))
        return { errorCode: 0, assignment: Buffer.alloc(0) }
      }),
      handler(apis.deleteGroups, ({ groupsNames }) => ({
        results: groupsNames.map((groupId) => ({ groupId, errorCode: 0 })),
      })),
      handler(
        apis.produce,
        ({ acks }, { correlationId }) => {
          this.done.push(correlationId)
          return acks === 0 ? null : { responses: [] }
        },
        { quota: 'bytes', outlivesPeer: true },
      ),
      handler(
        apis.heartbeat,
        ({ groupId }) => {
          if (groupId === 'bug') throw new Error('a bug')
          throw new KafkaError(errors.NOT_COORDINATOR)
        },
        { onError: (_request, { code }) => ({ errorCode: code }) },
      ),
      handler(apis.findCoordinator, async (_request, context) => {
        await context.inTurns(manySteps())
        this.done.push(context.correlationId)
        return { errorCode: 0, nodeId: 1, host: '', port: 1 }
      }),
      handler(apis.leaveGroup, () => {
        throw new KafkaError(errors.NOT_COORDINATOR)
      }),
      handler(apis.saslAuthenticate, () => ({
        errorCode: 0,
        errorMessage: null,
        authBytes: Buffer.alloc(this.replyBytes),
      })),
    ]
  }
}

/** Too many for one turn. */
function* manySteps(): Steps<void> {
  for (let step = 0; step < 5000; step++) yield
}

/** A request frame as one buffer. */
export function frame<Request extends Message>(
  request: Request,
  version: number,
  correlationId: number,
  value: InputOf<Request>,
): Buffer {
  return Buffer.concat(encodeRequest(request, version, { correlationId, clientId: 'test' }, value))
}

export function apiVersions(correlationId: number): Buffer {
  return frame(apis.apiVersions.request, 0, correlationId, {})
}

/** Answered when the test says so. */
export function listGroups(correlationId: number): Buffer {
  return frame(apis.listGroups.request, 0, correlationId, {})
}

/** As `listGroups`, but nothing after it is taken before. */
export function describeGroups(correlationId: number): Buffer {
  return frame(apis.describeGroups.request, 0, correlationId, { groups: [] })
}

/** Small, and answered in several turns. */
export function findCoordinator(correlationId: number): Buffer {
  return frame(apis.findCoordinator.request, 0, correlationId, { key: '' })
}

/** Of so many names, each of which is answered. */
export function deleteGroups(correlationId: number, names: number): Buffer {
  const groupsNames = Array.from({ length: names }, (_, index) => `group-${index}`)
  return frame(apis.deleteGroups.request, 0, correlationId, { groupsNames })
}

/** Waits for other clients, until the test says so. */
export function syncGroup(correlationId: number, bytes: number): Buffer {
  const assignments = [{ memberId: '', assignment: Buffer.alloc(bytes) }]
  const request = { groupId: '', generationId: 1, memberId: '', assignments }
  return frame(apis.syncGroup.request, 0, correlationId, request)
}

export function heartbeat(correlationId: number, groupId: string): Buffer {
  return frame(apis.heartbeat.request, 0, correlationId, { groupId, generationId: 1, memberId: '' })
}

export function produce(correlationId: number, acks: number, topics = 0): Buffer {
  const topicData = Array.from({ length: topics }, () => ({ name: '', partitionData: [] }))
  return frame(apis.produce.request, 3, correlationId, { acks, timeoutMs: 1000, topicData })
}

/** Answered with `replyBytes` bytes. */
export function large(correlationId: number, requestBytes = 0): Buffer {
  const authBytes = Buffer.alloc(requestBytes)
  return frame(apis.saslAuthenticate.request, 0, correlationId, { authBytes })
}

/** Answers that are the same for many: given again as bytes, and not once what they follow from has changed. */
import t from 'tap'
import { apis } from '../../protocol/apis.ts'
import { decodeResponse, decodeResponseHeader, encodeRequest } from '../../protocol/frame.ts'
import { Reader } from '../../protocol/reader.ts'
import { BufferPool } from '../../src/environment/node/buffer-pool.ts'
import type { Authorizer } from '../../src/server/access.ts'
import { ServerCounters } from '../../src/server/counters.ts'
import type { Asker } from '../../src/server/exchange.ts'
import { handler } from '../../src/server/handler.ts'
import { KeptAnswers } from '../../src/server/kept-answers.ts'
import { Limits } from '../../src/server/limits.ts'
import { Router } from '../../src/server/router.ts'
import { Connection } from '../handlers/data-path.ts'
import { OneBroker } from '../handlers/one-broker.ts'
import { recordingLogger } from './test-server.ts'

const clock = { now: () => 0, monotonic: () => 0 }

/** A router with a handler whose every answer is another one. */
class Asked {
  state = {}
  variant = 'a'
  isKept = true
  count = 0
  readonly counters = new ServerCounters()
  readonly kept = new KeptAnswers({ state: () => this.state, variant: () => this.variant })
  readonly #router: Router
  readonly #limits = new Limits(clock)

  constructor(authorizer: Authorizer | null = null) {
    const list = handler(
      apis.listGroups,
      (_, context) => {
        if (this.isKept) context.keepAnswer(this.state)
        const groups = [{ groupId: `group-${++this.count}`, protocolType: '' }]
        return { throttleTimeMs: 0, errorCode: 15, groups }
      },
      { kept: this.kept },
    )
    const options = { log: recordingLogger([]), counters: this.counters, authorizer }
    this.#router = new Router([list], options)
  }

  /** The group in the answer, whose correlation id has to be right. */
  ask(correlationId: number, statesFilter: string[] = [], version = 4): string | undefined {
    const head = { correlationId, clientId: `client-${correlationId}` }
    const { request, response } = apis.listGroups
    const frame = Buffer.concat(encodeRequest(request, version, head, { statesFilter })).subarray(4)
    const connection: Asker = Object.assign(new Connection(), {
      ...{ listener: 'PLAINTEXT', buffers: new BufferPool(), limits: this.#limits },
      turns: { clock, timers: undefined as never },
      recordBytesMax: 2 ** 20,
      memoryIsShort: () => {},
      settled: () => {},
      refuse: () => {},
    })
    const exchange = this.#router.route(frame, connection, 0)
    const whole = Buffer.concat(exchange?.chunks ?? [])
    if (whole.readInt32BE(0) !== whole.length - 4) throw new Error('a wrong length')
    const reader = new Reader(whole, 4)
    const correlated = decodeResponseHeader(reader, response, version)
    if (correlated !== correlationId) throw new Error(`${correlated} is not ${correlationId}`)
    return decodeResponse(response, version, reader).groups[0]?.groupId
  }
}

t.test('who asks the same gets the same bytes, and everybody is counted', (t) => {
  const asked = new Asked()
  t.equal(asked.ask(1), 'group-1')
  t.equal(asked.ask(2), 'group-1', 'another client')
  t.equal(asked.ask(3, ['Empty']), 'group-2', 'another question')
  t.equal(asked.ask(4, [], 3), 'group-3', 'another version')
  t.equal(asked.ask(5, ['Empty']), 'group-2')
  asked.variant = 'b'
  t.equal(asked.ask(6), 'group-4', 'another listener')
  t.equal(asked.counters.requestsOf(apis.listGroups.key), 6)
  t.equal(asked.counters.errorsByApi[apis.listGroups.key]?.[16], 6, 'their error too')
  asked.state = {}
  t.equal(asked.ask(7), 'group-5', 'another state')
  t.equal(asked.kept.size, 1, 'of the one before nothing is left')
  asked.isKept = false
  t.equal(asked.ask(8, ['Dead']), 'group-6')
  t.equal(asked.ask(9, ['Dead']), 'group-7', 'the handler did not say so')
  t.end()
})

t.test('where not everybody may do everything nothing is kept', (t) => {
  const asked = new Asked({ allows: () => true, allowsAny: () => true })
  t.equal(asked.ask(1), 'group-1')
  t.equal(asked.ask(2), 'group-2')
  t.equal(asked.kept.size, 0)
  t.end()
})

t.test('what is kept has a limit', (t) => {
  const asked = new Asked()
  const long = (text: string) => Array.from({ length: 7 }, () => text.repeat(30_000))
  asked.ask(1, ['first'])
  for (let index = 0; index < 80; index++) asked.ask(2, [String(index), ...long('x')])
  t.ok(asked.kept.size > 40 && asked.kept.size < 80, `${asked.kept.size} are kept`)
  t.equal(asked.ask(3, ['first']), `group-${asked.count}`, 'the oldest goes first')
  const { count } = asked
  for (const _ of [1, 2]) asked.ask(4, [...long('y'), ...long('z')])
  t.equal(asked.count, count + 2, 'a question that is too long')
  t.end()
})

t.test('metadata is that of now', async (t) => {
  const broker = new OneBroker()
  await broker.start()
  const names = async (host: string, asked: string[] | null, version?: number) => {
    const topics = asked?.map((name) => ({ name })) ?? null
    const input = { topics, allowAutoTopicCreation: true }
    const answer = await broker.ask(host, apis.metadata, input, version)
    return answer.topics.map(({ name, errorCode }) => `${name} ${errorCode}`)
  }
  await broker.createTopic('a', 'one')
  for (const host of ['a', 'b', 'a']) {
    t.same(await names(host, ['one']), ['one 0'])
    t.same(await names(host, null), ['one 0'])
    t.same(await names(host, ['one'], 1), ['one 0'])
  }
  t.match(await names('b', ['two']), [/^two/], 'one that is not there is made')
  t.same(await names('a', ['two']), ['two 0'])
  t.same((await names('b', null)).sort(), ['one 0', 'two 0'])
  const deleted = { topics: [], topicNames: ['one'], timeoutMs: 1000 }
  await broker.ask('a', apis.deleteTopics, deleted, 5)
  t.same(await names('b', null), ['two 0'])
})

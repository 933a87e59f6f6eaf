/**
 * For how long one request holds the event loop: the largest ones that each API takes, one after the other
 * beside nothing else, first of names that nothing has, then of topics and groups that there are.
 */
import { type ApiRow, apis } from '../../protocol/apis.ts'
import { servedApis } from './attack.ts'
import type { BrokerProcess } from './broker-process.ts'
import {
  type Known,
  type LargestRequest,
  largestRequests,
  nothingKnown,
} from './largest-requests.ts'
import { decodeAnswer, errorCodes, Outcome, Peer } from './peer.ts'

export interface Hold {
  readonly request: string
  readonly elements: number
  readonly requestBytes: number
  readonly replyBytes: number
  readonly tookMs: number
  /** The longest piece of it in which nobody else was heard; the least of some tries. */
  readonly heldMs: number
  readonly got: string
}

const knownCount = 2000
const answerMsMax = 60_000
/** Several, as other processes and collections of garbage hold it as well. */
const tries = 3

/** What changes the broker comes last, so that the others find it as it was. */
const last = [apis.deleteGroups, apis.createPartitions, apis.createTopics, apis.deleteTopics]

/** Each request's hold as soon as it is known, of those that are `chosen` by API, array and what they name. */
export async function* heldLoop(
  broker: BrokerProcess,
  chosen: (name: string) => boolean,
): AsyncGenerator<Hold> {
  const known = await fill(broker)
  const rows = await servedApis(broker)
  const ofOrder = ([api]: readonly [ApiRow, number]) => last.indexOf(api as never)
  rows.sort((a, b) => ofOrder(a) - ofOrder(b))
  for (const [api, version] of rows) {
    for (const [what, there] of [
      ['unknown', nothingKnown],
      ['known', known],
    ] as const) {
      for (const request of largestRequests(api, version, there)) {
        const name = `${api.name} v${version} ${request.array}, ${what}`
        if (chosen(name)) yield await hold(broker, name, request)
      }
    }
  }
}

async function hold(broker: BrokerProcess, name: string, request: LargestRequest): Promise<Hold> {
  const { api, version, elements, frame } = request
  const outcome = new Outcome()
  let heldMs = Number.POSITIVE_INFINITY
  let tookMs = Number.POSITIVE_INFINITY
  for (let count = 0; count < tries; count++) {
    const peer = (await Peer.open(broker.port, outcome)) as Peer
    await broker.longestHold()
    const beganMs = performance.now()
    const answered = peer.answer(answerMsMax)
    await peer.send(frame)
    const answer = await answered
    tookMs = Math.min(tookMs, performance.now() - beganMs)
    heldMs = Math.min(heldMs, (await broker.longestHold()).longestMs)
    if (answer !== undefined) outcome.note(errorCodes(decodeAnswer(api, version, answer)))
    peer.close()
  }
  const replyBytes = Math.round(outcome.replyBytes / Math.max(1, outcome.replies))
  const requestBytes = frame.length
  return {
    request: name,
    elements,
    requestBytes,
    replyBytes,
    tookMs,
    heldMs,
    got: outcome.toString(),
  }
}

/** Makes what there is to ask for. */
async function fill({ port }: BrokerProcess): Promise<Known> {
  const peer = (await Peer.open(port, new Outcome())) as Peer
  const topics = names('known')
  const groups = names('group')
  const topicIds: string[] = []
  for (let from = 0; from < topics.length; from += 500) {
    const made = await peer.call(apis.createTopics, 7, {
      topics: topics.slice(from, from + 500).map((name) => ({
        name,
        numPartitions: 1,
        replicationFactor: 1,
        assignments: [],
        configs: [],
      })),
    })
    topicIds.push(...(made?.topics ?? []).map(({ topicId }) => topicId as string))
  }
  await peer.call(apis.findCoordinator, 1, { key: 'any', keyType: 0 })
  for (const groupId of groups) {
    const request = {
      groupId,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      topics: [
        {
          name: topics[0] as string,
          partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }],
        },
      ],
    }
    await peer.call(apis.offsetCommit, 8, request)
  }
  peer.close()
  return { topics, topicIds, groups }
}

function names(of: string): string[] {
  return Array.from({ length: knownCount }, (_, index) => `${of}-${index}`)
}

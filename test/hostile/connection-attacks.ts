/** Attacks by how a peer behaves on its connections, whatever it asks. */
import { setTimeout } from 'node:timers/promises'
import { apis } from '../../protocol/apis.ts'
import { type Attack, isOver, openMany, repeat, type Target, untilOver } from './attack.ts'
import { frameOf, frameWith, type Peer } from './peer.ts'

const apiVersions = frameOf(apis.apiVersions, 0, {})
const allTopics = frameOf(apis.metadata, 1, { topics: null })

/** The first bytes of a frame that claims to be so long. */
function claimOf(bytes: number): Buffer {
  const claim = Buffer.alloc(14)
  claim.writeInt32BE(bytes, 0)
  claim.writeInt16BE(3, 6)
  claim.writeInt32BE(1, 8)
  return claim
}

/** A Fetch of all there is, from the start. */
export function greedyFetch(topic: string, minBytes = 1, maxWaitMs = 0): Buffer {
  return frameOf(apis.fetch, 4, {
    maxWaitMs,
    minBytes,
    maxBytes: 60_000_000,
    isolationLevel: 0,
    topics: [
      { topic, partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 60_000_000 }] },
    ],
  })
}

/** Connections that send, never read, and stay. */
async function neverRead(target: Target, connections: number, bytes: Buffer): Promise<void> {
  const peers = await openMany(target, connections)
  for (const peer of peers) {
    peer.socket.pause()
    void peer.send(bytes)
  }
  await untilOver(target)
}

/** All but the end of a large frame, on each of some connections; then nothing. */
async function stall(target: Target, connections: number, bytes: number): Promise<void> {
  const blob = Buffer.alloc(1_000_000)
  const fill = async (peer: Peer) => {
    await peer.send(claimOf(bytes))
    for (let sent = 14; sent < bytes - blob.length && !isOver(target); sent += blob.length) {
      await peer.send(blob)
    }
  }
  await Promise.race([
    Promise.all((await openMany(target, connections)).map(fill)),
    untilOver(target),
  ])
  await untilOver(target)
}

/** One byte of a frame at a time, on many connections. */
async function dribble(target: Target, connections: number, head: number): Promise<void> {
  const peers = await openMany(target, connections)
  for (const peer of peers) void peer.send(claimOf(1_000_000), Buffer.alloc(head))
  const byte = Buffer.alloc(1)
  while (!isOver(target)) {
    for (const peer of peers) if (!peer.isClosed) peer.socket.write(byte)
    await setTimeout(100)
  }
}

async function storm(target: Target): Promise<void> {
  await openMany(target, 5000)
  await untilOver(target)
}

async function churn(target: Target): Promise<void> {
  while (!isOver(target)) {
    const peers = await openMany(target, 100)
    for (const peer of peers) {
      void peer.send(apiVersions)
      peer.close()
    }
  }
}

async function askAndLeave(target: Target): Promise<void> {
  const frame = greedyFetch(target.filled)
  while (!isOver(target)) {
    for (const peer of await openMany(target, 20)) {
      await peer.send(frame, frame, frame)
      peer.close()
    }
  }
}

async function pipeline(target: Target): Promise<void> {
  const many = Buffer.concat(new Array(10_000).fill(apiVersions))
  while (!isOver(target)) {
    const [peer] = await openMany(target, 1)
    if (peer === undefined) continue
    let left = 10_000
    await new Promise<void>((resolve) => {
      peer.onAnswer = () => {
        if (--left === 0) resolve()
      }
      peer.socket.once('close', () => resolve())
      void peer.send(many)
    })
    peer.close()
  }
}

async function parkedFetches(target: Target, connections: number, each: number): Promise<void> {
  const frame = greedyFetch(target.empty, 1, 600_000)
  const frames = Buffer.concat(new Array(each).fill(frame))
  for (const peer of await openMany(target, connections)) void peer.send(frames)
  await untilOver(target)
}

async function halfClosed(target: Target): Promise<void> {
  for (const peer of await openMany(target, 1000)) {
    await peer.send(claimOf(100_000))
    peer.socket.end()
  }
  await untilOver(target)
}

const tls = Buffer.concat([Buffer.from('16030100c2010000be0303', 'hex'), Buffer.alloc(200, 97)])

const noHint = { hasAnswer: true, connections: 4 }

export const connectionAttacks: readonly Attack[] = [
  {
    name: '2 000 connections announce 100 MiB and send nothing',
    run: async (target) => {
      for (const peer of await openMany(target, 2000)) void peer.send(claimOf(104_857_600))
      await untilOver(target)
    },
  },
  { name: '30 frames of 100 MiB stop before their ends', run: (t) => stall(t, 30, 104_857_600) },
  { name: '1 000 frames of 1 MB stop before their ends', run: (t) => stall(t, 1000, 1_000_000) },
  { name: '200 slow writers, a byte every 100 ms', run: (t) => dribble(t, 200, 10) },
  { name: '500 slow writers with 600 KB each', run: (t) => dribble(t, 500, 600_000) },
  {
    name: '100 slow readers of large fetches',
    run: (t) => neverRead(t, 100, greedyFetch(t.filled)),
  },
  {
    name: '20 connections, 10 000 pipelined Metadata each, never read',
    run: (t) => neverRead(t, 20, Buffer.concat(new Array(10_000).fill(allTopics))),
  },
  {
    name: '2 000 connections, 10 000 pipelined ApiVersions each, never read',
    run: (t) => neverRead(t, 2000, Buffer.concat(new Array(10_000).fill(apiVersions))),
  },
  { name: '10 000 pipelined requests on a connection, read', run: pipeline },
  { name: 'a storm of 5 000 connections', run: storm },
  { name: 'connections that ask and close at once', run: churn },
  { name: 'large fetches, closed before the answer', run: askAndLeave },
  { name: '1 000 connections half closed in mid-frame', run: halfClosed },
  { name: '2 000 connections with a parked fetch each', run: (t) => parkedFetches(t, 2000, 1) },
  { name: '50 connections with 100 parked fetches each', run: (t) => parkedFetches(t, 50, 100) },
  { name: 'a frame of 2 GB', run: (t) => repeat(t, claimOf(2 ** 31 - 1), noHint) },
  { name: 'a frame of negative length', run: (t) => repeat(t, claimOf(-1), noHint) },
  {
    name: 'HTTP',
    run: (t) => repeat(t, Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'), noHint),
  },
  { name: 'TLS', run: (t) => repeat(t, tls, noHint) },
  {
    name: 'an unknown API',
    run: (t) => repeat(t, frameWith(999, 0, Buffer.alloc(20)), noHint),
  },
  {
    name: 'an unknown version of Produce',
    run: (t) => repeat(t, frameWith(0, 99, Buffer.alloc(20)), noHint),
  },
]

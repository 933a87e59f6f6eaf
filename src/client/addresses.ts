/** Addresses of brokers, as people write them. */
import type { Endpoint } from '../environment/network.ts'

const defaultPort = 9092

/** The parts of a list with commas between them. */
export function splitAddresses(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

/** `host`, `host:port` or `[v6]:port`, a protocol before it or not; 9092 where no port is said. Null: it is none. */
export function parseAddress(text: string): Endpoint | null {
  const bare = text.replace(/^[A-Za-z_]+:\/\//, '')
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(bare)
  const port = match?.[3] === undefined ? defaultPort : Number(match[3])
  if (match === null || port < 1 || port > 65_535) return null
  return { host: match[1] ?? match[2]!, port }
}

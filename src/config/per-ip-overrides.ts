/** `max.connections.per.ip.overrides`: how many connections single addresses may have, as `127.0.0.1:200,[::1]:10`. */
import type { Check } from './definition.ts'

export const perIpOverrides: Check<string> = {
  allowed: 'host:count,host:count,...',
  check: (text) => void readPerIpOverrides(text),
}

/** By host, without brackets. Below zero as in Kafka: none. Throws Error that says what is expected. */
export function readPerIpOverrides(text: string): ReadonlyMap<string, number> {
  const overrides = new Map<string, number>()
  if (text.trim() === '') return overrides
  for (const pair of text.split(',')) {
    const match = /^\s*(\[[0-9A-Za-z%.:]+\]|[0-9A-Za-z\-%._:]+)\s*:\s*([+-]?\d{1,10})\s*$/.exec(
      pair,
    )
    const count = Number(match?.[2])
    if (match?.[1] === undefined || count > 2 ** 31 - 1 || count < -(2 ** 31)) {
      throw new Error(`expected host:count pairs but got ${pair.trim()}`)
    }
    overrides.set(match[1].replace(/^\[|\]$/g, ''), count)
  }
  return overrides
}

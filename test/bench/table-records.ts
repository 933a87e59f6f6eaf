/**
 * The records of `npm run bench -- tables`, each told by its number alone, so that whoever makes them again makes the
 * same: events of a shop of about 1 KB, nested as such events are, and flights of four numbers.
 */
import { Chance } from '../soak/chance.ts'

export const shapes = ['events', 'flights'] as const
export type Shape = (typeof shapes)[number]

/** The JSON of a record. */
export function recordText(shape: Shape, number: number): string {
  return shape === 'events' ? eventText(number) : flightText(number)
}

/** Uniform in [0, 1): as well mixed as samples have to be. */
function chance(seed: number): () => number {
  const chosen = new Chance(Math.imul(seed + 1, 0x9e3779b1))
  return () => chosen.next()
}

/** As rows of the vega data set of flights have them, with their number. */
function flightText(row: number): string {
  const next = chance(row)
  const delay = Math.round(next() ** 4 * 180 - 20)
  const distance = 30 + Math.floor(next() * 2400)
  const time = Math.floor(next() * 1440) / 60
  return JSON.stringify({ row, delay, distance, time })
}

const types = ['order_placed', 'order_paid', 'order_shipped', 'cart_changed', 'page_viewed']
const countries = ['DE', 'FR', 'US', 'IN', 'BR', 'JP', 'ZA', 'AU', 'PL', 'SE']
const words =
  'left at the front door please ring twice as the bell is hard to hear gift wrap with a blue ribbon and no invoice'.split(
    ' ',
  )
const agents = ['Windows NT 10.0; Win64; x64', 'Macintosh; Intel Mac OS X 10_15_7', 'X11; Linux']
const firstMs = Date.UTC(2026, 0, 1)

function eventText(number: number): string {
  const next = chance(number)
  const below = (bound: number) => Math.floor(next() * bound)
  const oneOf = <Item>(items: readonly Item[]): Item => items[below(items.length)] as Item
  const hex = (digits: number) =>
    below(16 ** digits)
      .toString(16)
      .padStart(digits, '0')
  const price = () => (99 + below(20_000)) / 100
  const user = below(200_000)
  const items = Array.from({ length: 1 + below(4) }, () => ({
    sku: `SKU-${below(50_000)}`,
    name: `${oneOf(words)} ${oneOf(words)} ${below(100)}`,
    quantity: 1 + below(5),
    price: price(),
  }))
  return JSON.stringify({
    event_id: `${hex(8)}-${hex(4)}-4${hex(3)}-9${hex(3)}-${hex(6)}${hex(6)}`,
    event_type: oneOf(types),
    number,
    occurred_at: new Date(firstMs + number * 20 + below(20)).toISOString(),
    user: {
      ...{ id: user, email: `user${user}@example.com`, country: oneOf(countries) },
      segments: [`seg-${below(20)}`, `seg-${below(20)}`],
    },
    session: {
      id: `${hex(8)}${hex(8)}${hex(8)}${hex(8)}`,
      ip: `10.${below(256)}.${below(256)}.${below(256)}`,
      user_agent: `Mozilla/5.0 (${oneOf(agents)}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${100 + below(40)}.0.0.0`,
      is_mobile: next() < 0.4,
    },
    order: {
      ...{ id: number * 7, currency: next() < 0.6 ? 'EUR' : 'USD', total: price() },
      ...{ discount: next() < 0.2 ? below(500) / 100 : null, items },
    },
    note: Array.from({ length: 30 + below(30) }, () => oneOf(words)).join(' '),
  })
}

/**
 * What the data generator makes: records of a few shapes that demos are about, each with a key of a space of so many.
 * A record is told by its number and its chance alone.
 */
import { arrayOf, primitive, type Schema, Struct, structOf } from '../data.ts'

/** Uniform in [0, bound). */
export type Below = (bound: number) => number

export interface Shape {
  readonly schema: Schema
  /** The field that is the key too. */
  readonly keyField: string
  /** The values of the fields, in their order; `nowMs` is when it is made. */
  readonly values: (context: {
    number: bigint
    keys: number
    nowMs: number
    below: Below
  }) => unknown[]
}

const int32 = primitive('INT32')
const int64 = primitive('INT64')
const float64 = primitive('FLOAT64')
const text = primitive('STRING')

const cities = ['Berlin', 'Paris', 'Delhi', 'Lagos', 'Lima', 'Osaka', 'Perth', 'Oslo', 'Quito']
const genders = ['FEMALE', 'MALE', 'OTHER']
const symbols = ['ACME', 'GLOBEX', 'INITECH', 'HOOLI', 'UMBRELLA', 'STARK', 'WAYNE', 'TYRELL']
const interests = ['Game', 'News', 'Sport', 'Travel', 'Movies', 'Music']

const cents = (value: number) => value / 100
const oneOf = <Item>(items: readonly Item[], below: Below): Item =>
  items[below(items.length)] as Item

const address = structOf(
  [
    ['city', text],
    ['zipcode', int64],
  ],
  { name: 'address' },
)

export const shapes: Readonly<Record<string, Shape>> = {
  orders: {
    keyField: 'orderid',
    schema: structOf(
      [
        ['ordertime', int64],
        ['orderid', int64],
        ['itemid', text],
        ['orderunits', float64],
        ['address', address],
      ],
      { name: 'orders' },
    ),
    values: ({ number, keys, nowMs, below }) => [
      BigInt(nowMs),
      number % BigInt(keys),
      `Item_${below(1000)}`,
      cents(below(1000)),
      new Struct(address)
        .put('city', oneOf(cities, below))
        .put('zipcode', BigInt(10_000 + below(90_000))),
    ],
  },
  users: {
    keyField: 'userid',
    schema: structOf(
      [
        ['registertime', int64],
        ['userid', text],
        ['regionid', text],
        ['gender', text],
        ['interests', arrayOf(text)],
      ],
      { name: 'users' },
    ),
    values: ({ keys, nowMs, below }) => [
      BigInt(nowMs - below(86_400_000)),
      `User_${below(keys)}`,
      `Region_${1 + below(9)}`,
      oneOf(genders, below),
      Array.from({ length: 1 + below(3) }, () => oneOf(interests, below)),
    ],
  },
  pageviews: {
    keyField: 'viewtime',
    schema: structOf(
      [
        ['viewtime', int64],
        ['userid', text],
        ['pageid', text],
      ],
      { name: 'pageviews' },
    ),
    values: ({ number, keys, below }) => [number, `User_${below(keys)}`, `Page_${below(100)}`],
  },
  stock_trades: {
    keyField: 'symbol',
    schema: structOf(
      [
        ['side', text],
        ['quantity', int32],
        ['symbol', text],
        ['price', float64],
        ['account', text],
        ['tradetime', int64],
      ],
      { name: 'stock_trades' },
    ),
    values: ({ keys, nowMs, below }) => [
      below(2) === 0 ? 'BUY' : 'SELL',
      1 + below(5000),
      symbols[below(Math.min(keys, symbols.length))],
      cents(500 + below(99_500)),
      `ACC_${below(1000)}`,
      BigInt(nowMs),
    ],
  },
}

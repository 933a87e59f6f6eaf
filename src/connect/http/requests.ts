/** What connectors that speak HTTP have in common: whom they ask, and with which headers. */
import { list, matching } from '../../config/definition.ts'
import { key } from '../config-def.ts'

export const urlCheck = matching(
  /^https?:\/\/[^\s/]+\S*$/,
  'an address that begins with http:// or https://',
)

const headersCheck = {
  allowed: 'NAME:VALUE, …',
  check: (items: readonly string[]) => void headersOf(items),
}

export const headersSetting = key(
  list([], headersCheck),
  'LOW',
  'Further headers of each request: NAME:VALUE, …',
)

/** Throws an Error whose message says what is expected. */
export function headersOf(items: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    items.map((item) => {
      const [, name, value] = /^([\w!#$%&'*+.^`|~-]+):\s*([\x20-\x7e]*)$/.exec(item) ?? []
      if (name === undefined) throw new Error(`${item} is not NAME:VALUE`)
      return [name.toLowerCase(), value!]
    }),
  )
}

/** What connectors that speak HTTP have in common: whom they ask, and with which headers. */
import { matching, password } from '../../config/definition.ts'
import { key } from '../config-def.ts'

export const urlCheck = matching(
  /^https?:\/\/[^\s/]+\S*$/,
  'an address that begins with http:// or https://',
)

const headersCheck = {
  allowed: 'NAME:VALUE, …',
  check: (text: string) => void headersOf(text),
}

/** One of them may be what lets us in. */
export const headersSetting = key(
  password({}, headersCheck),
  'LOW',
  'Further headers of each request: NAME:VALUE, …',
)

/** Null: there are none. Throws an Error that says what is expected, and nothing of what was given. */
export function headersOf(text: string | null): Readonly<Record<string, string>> {
  const items = (text ?? '').split(',').filter((item) => item.trim() !== '')
  return Object.fromEntries(
    items.map((item, at) => {
      const found = /^([\w!#$%&'*+.^`|~-]+):\s*([\x20-\x7e]*)$/.exec(item.trim())
      if (found === null) throw new Error(`Header ${at + 1} is not NAME:VALUE`)
      const [, name = '', value = ''] = found
      return [name.toLowerCase(), value]
    }),
  )
}

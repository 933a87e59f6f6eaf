/** How Kafka writes the addresses of clients, wherever it names them. */

/** IPv4 also where it came over IPv6, and IPv6 with all of its eight groups. */
export function hostAddress(host: string): string {
  if (host.startsWith('::ffff:') && host.includes('.')) return host.slice('::ffff:'.length)
  if (!host.includes(':')) return host
  const [address = '', zone] = host.split('%')
  const [head = '', tail] = address.split('::')
  const groupsOf = (text: string): string[] => (text === '' ? [] : text.split(':'))
  const before = groupsOf(head)
  const after = groupsOf(tail ?? '')
  const zeros = tail === undefined ? 0 : Math.max(0, 8 - before.length - after.length)
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after]
  const written = groups.map((group) => group.replace(/^0+(?=.)/, '').toLowerCase()).join(':')
  return zone === undefined ? written : `${written}%${zone}`
}

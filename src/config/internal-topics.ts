/** Topics that the broker keeps its own state in: nobody else writes to them. */
export function isInternalTopic(name: string): boolean {
  return (
    name === '__consumer_offsets' ||
    name === '__transaction_state' ||
    name === '__share_group_state'
  )
}

/** What others call this machine. */
import { lookup } from 'node:dns/promises'
import { hostname } from 'node:os'

/** The address that its own name leads to. */
export async function machineAddress(): Promise<string> {
  try {
    return (await lookup(hostname())).address
  } catch {
    // A machine that does not know its own name.
    return '127.0.0.1'
  }
}

/** The client's side of TLS by `node:tls`. */

import { isIP } from 'node:net'
import tls from 'node:tls'
import type { ClientTls } from '../network.ts'

/** What was made of certificates and keys: to read them takes longer than to use them. */
const contexts = new WeakMap<ClientTls, tls.SecureContext>()

/** Emits `secureConnect` once both sides are satisfied. Throws for certificates and keys that cannot be read. */
export function connectTls(
  options: { readonly host: string; readonly port: number },
  client: ClientTls,
): tls.TLSSocket {
  const socket = tls.connect({
    ...options,
    secureContext: contextOf(client),
    // Addresses are no names that a server could choose its certificate by.
    ...(isIP(options.host) === 0 ? { servername: options.host } : {}),
    ...(client.checksHost ? {} : { checkServerIdentity: () => undefined }),
  })
  // Only sockets without TLS take this among their options.
  return socket.setNoDelay(true).setKeepAlive(true)
}

function contextOf(client: ClientTls): tls.SecureContext {
  let context = contexts.get(client)
  if (context === undefined) {
    const { authorities, identity, keyPassword, versionMin, versionMax } = client
    context = tls.createSecureContext({
      ...(authorities === null ? {} : { ca: authorities }),
      ...(identity === null ? {} : { cert: identity.chain, key: identity.key }),
      ...(keyPassword === null ? {} : { passphrase: keyPassword }),
      minVersion: versionMin,
      maxVersion: versionMax,
    })
    contexts.set(client, context)
  }
  return context
}

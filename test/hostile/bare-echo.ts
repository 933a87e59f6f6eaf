/**
 * A process that does nothing but send back what it is sent. What a client of it feels while somebody attacks
 * the broker is what the machine makes everybody wait, whatever the broker does: the processors are few, and
 * the attacker has threads of its own.
 */

import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'

const server = createServer({ noDelay: true }, (socket) => {
  socket.on('data', (bytes) => socket.write(bytes))
  socket.on('error', () => socket.destroy())
})
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
process.once('disconnect', () => process.exit())

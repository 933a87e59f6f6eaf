/**
 * How a principal travels in an Envelope; an int16 with the version goes in front.
 */

import type { MessageOf } from '../schema.ts'
import { bool, message, string } from '../schema.ts'

/** Kafka's own principal: a type, nearly always User, and a name. */
export const defaultPrincipalData = message(
  null,
  'DefaultPrincipalData',
  { valid: '0', flexible: '0+' },
  {
    type: string,
    name: string,
    tokenAuthenticated: bool,
  },
)
export type DefaultPrincipalData = MessageOf<typeof defaultPrincipalData>

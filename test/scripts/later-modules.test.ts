import { test } from 'tap'
import { requireLater } from '../../scripts/later-modules.ts'

test('a module of Node is loaded when something of it is asked for, or when it is called', (t) => {
  const text = [
    "var assert = require('node:assert/strict');",
    "var https = require('node:https');",
    "var path = require('node:path');",
    "module.exports = { agent: () => https.globalAgent, check: (value) => assert(value, 'checked') };",
  ].join('\n')
  const loaded: string[] = []
  const modules: Record<string, unknown> = {
    'node:assert/strict': (value: unknown, message: string) => {
      if (value !== true) throw new Error(message)
    },
    'node:https': { globalAgent: 'agent' },
  }
  const require = (name: string) => {
    loaded.push(name)
    return modules[name]
  }
  const module = { exports: {} as { agent(): unknown; check(value: unknown): void } }
  const later = requireLater(text, ['node:assert/strict', 'node:https'])
  new Function('module', 'require', later)(module, require)
  t.same(loaded, ['node:path'])

  t.equal(module.exports.agent(), 'agent')
  t.same(loaded, ['node:path', 'node:https'])
  module.exports.check(true)
  t.throws(() => module.exports.check(false), { message: 'checked' })
  t.ok(loaded.includes('node:assert/strict'))
  t.end()
})

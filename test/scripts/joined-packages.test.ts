import { mkdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { test } from 'tap'
import { joinPackages } from '../../scripts/joined-packages.ts'

test('a file and its packages become one that does the same', (t) => {
  const from = t.testdir()
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(from, name)), { recursive: true })
    writeFileSync(join(from, name), text)
  }
  write('node_modules/whole/package.json', '{ "main": "a.js", "version": "7.8.9" }')
  // Each of the two files needs the other one: the second sees what there is of the first by then.
  write(
    'node_modules/whole/a.js',
    `exports.early = 'early'
    const { version } = require("./package.json")
    exports.told = require('./b').told + ' ' + version`,
  )
  write(
    'node_modules/whole/b.js',
    `let added = ''
    try { added = require('not-installed') } catch (error) { added = error.code }
    exports.told = require('./a').early + ' ' + added + ' ' + require('node:path').basename('x/y')`,
  )
  write('node_modules/apart/index.js', 'module.exports = __filename')
  write(
    'entry.js',
    `'use strict'
    const whole = require('whole')
    module.exports = { told: whole.told, again: require('whole') === whole, apart: require('apart') }`,
  )
  const joined = joinPackages(join(from, 'entry.js'), (name) => name === 'whole')
  write('joined.cjs', joined)
  const require = createRequire(join(from, 'joined.cjs'))
  t.strictSame(require('./joined.cjs'), {
    told: 'early MODULE_NOT_FOUND y 7.8.9',
    again: true,
    apart: join(from, 'node_modules/apart/index.js'),
  })
  t.notMatch(joined, '= __filename', 'a package that was not asked for stays where it is')
  t.end()
})

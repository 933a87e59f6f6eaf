/** The judges of a soak are judged: what the ledger must notice, and what a loss of power may take. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { Chance } from './chance.ts'
import { isViolated, Ledger, type Verdict } from './ledger.ts'
import { PowerLoss } from './power-loss.ts'

/** The verdict on lines of clients and of the reader; `safe` is idempotent, `plain` is not. */
async function judge(folder: string, lines: readonly string[], tail = '\n'): Promise<Verdict> {
  const file = join(folder, 'lines')
  writeFileSync(file, lines.join('\n') + tail)
  const ledger = new Ledger()
  ledger.announce('safe', true, 'orders')
  ledger.announce('plain', false, 'orders')
  await ledger.take(file)
  return ledger.compare()
}

t.test('the ledger notices what was lost, doubled or moved', async (t) => {
  const folder = t.testdir()
  const acks = ['ack orders 0 0 safe 0', 'ack orders 0 1 safe 1', 'ack orders 0 2 plain 0']
  const rows = ['row orders 0 0 safe 0', 'row orders 0 1 safe 1', 'row orders 0 2 plain 0']
  const verdictOn = (lines: readonly string[]) => judge(folder, lines)
  const sound = await verdictOn([...acks, ...rows, 'end orders 0 3'])
  t.match(sound, { acknowledged: 3, found: 3, lost: 0, doubled: 0 })
  t.notOk(isViolated(sound))

  t.match(await verdictOn([...acks, ...rows.slice(0, 2), 'end orders 0 2']), { lost: 1 })
  t.match(await verdictOn([...acks, ...rows.slice(0, 2), 'end orders 0 3']), { lost: 1, gaps: 1 })
  t.match(await verdictOn([...acks, ...rows, 'row orders 0 3 safe 1']), { doubled: 1 })
  t.match(await verdictOn([...acks, ...rows, 'row orders 0 3 plain 0']), {
    doubled: 0,
    repeatedByPlain: 1,
  })
  t.match(await verdictOn(['row orders 0 0 safe 1', 'row orders 0 1 safe 0']), { outOfOrder: 1 })
  t.match(await verdictOn(['row orders 0 0 safe 0', 'row orders 0 2 safe 1']), { gaps: 1 })
  t.match(await verdictOn(['ack orders 0 5 safe 0', 'row orders 0 0 safe 0']), { misplaced: 1 })
  t.match(await verdictOn(['ack orders 0 -1 safe 0', 'row orders 0 0 safe 0']), { misplaced: 0 })
  t.match(await verdictOn(['row orders 0 0 stranger 0']), { misplaced: 1 })
})

t.test('the ledger notices committed offsets that go back', async (t) => {
  const folder = t.testdir()
  const commits = ['commit g orders 0 10 100', 'commit g orders 0 20 200']
  const back = async (line: string) => (await judge(folder, [...commits, line])).wentBack
  t.equal(await back('from g orders 0 20 300'), 0)
  t.equal(await back('from g orders 0 10 150'), 0, 'the later commit was not yet')
  t.equal(await back('from g orders 0 10 300'), 1)
  t.equal(await back('committed g orders 0 20'), 0)
  t.equal(await back('committed g orders 0 19'), 1)
})

t.test('a line that a kill cut short is not counted', async (t) => {
  const cut = await judge(t.testdir(), ['row orders 0 0 safe 0', 'ack orders 0 0 safe 1'], '')
  t.match(cut, { acknowledged: 0, lost: 0 })
})

/** As the preloaded library would note it: a file with `synced` in its shadow, the rest written since. */
function play(folder: string, seed: number) {
  const data = join(folder, `data-${seed}`)
  mkdirSync(join(data, 'orders-0'), { recursive: true })
  const old = join(data, 'orders-0/old')
  writeFileSync(old, 'old')
  const power = new PowerLoss(data, join(folder, `${seed}`), new Chance(seed))
  power.begin()
  const shadow = join(folder, `${seed}`, 'shadow')
  const inode = (path: string) => statSync(path).ino
  const parent = inode(join(data, 'orders-0'))
  const names: string[] = []
  const make = (name: string, synced: string, written: string) => {
    const path = join(data, 'orders-0', name)
    writeFileSync(path, synced + written)
    writeFileSync(join(shadow, 'files', String(inode(path))), synced)
    names.push(`link ${parent} ${inode(path)} file ${name}`)
  }
  make('kept', 'a'.repeat(9000), 'b'.repeat(9000))
  names.push(`sync ${parent}`)
  make('nameless', 'synced, but its name is not', '')
  names.push(`move ${parent} ${inode(old)} file old ${parent} new`)
  renameSync(old, join(data, 'orders-0/new'))
  writeFileSync(join(shadow, 'names'), names.map((line) => `${line}\n`).join(''))
  power.lose()
  return join(data, 'orders-0')
}

t.test('a loss of power keeps what was synced and any part of the rest', async (t) => {
  const folder = t.testdir()
  const seen = new Set<string>()
  for (let seed = 1; seed <= 60; seed++) {
    const directory = play(folder, seed)
    const kept = readFileSync(join(directory, 'kept'), 'utf8')
    t.ok(kept.startsWith('a'.repeat(9000)), 'what was synced is there')
    t.match(kept.slice(9000), /^[b\0]*$/, 'pages that were not are there or empty')
    const names = readdirSync(directory).sort()
    t.equal(names.includes('old'), !names.includes('new'), 'a move happens or does not')
    const isMoved = names.includes('new')
    t.notOk(isMoved && !names.includes('nameless'), 'names change in their order')
    t.equal(readFileSync(join(directory, isMoved ? 'new' : 'old'), 'utf8'), 'old')
    seen.add(existsSync(join(directory, 'nameless')) ? (isMoved ? 'both' : 'first') : 'none')
    seen.add(kept.length === 9000 ? 'cut' : kept.includes('\0') ? 'holes' : 'whole')
  }
  t.strictSame([...seen].sort(), ['both', 'cut', 'first', 'holes', 'none', 'whole'])
})

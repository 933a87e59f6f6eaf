/** `npm run check`: types, import directions, format and lint; `--write` mends what can be mended. */
import { spawnSync } from 'node:child_process'
import { directionViolations } from './directions.ts'

/** Pinned, and outside the lock file: its packages for other platforms are not everywhere to be had. */
const biome = '@biomejs/biome@2.6.8'

function run(command: string, args: readonly string[]): boolean {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', shell: false })
  if (error) console.error(`${command}: ${error.message}`)
  return status === 0
}

const npx = process.platform === 'win32' ? 'npx.cmd' : 'npx'
const write = process.argv.includes('--write') ? ['--write'] : []
const violations = directionViolations(process.cwd())
for (const line of violations) console.error(line)

const passed = [
  ['import directions', violations.length === 0],
  ['types', run(npx, ['tsc', '--noEmit'])],
  [
    'format and lint',
    run(npx, [
      '--yes',
      biome,
      'check',
      '--config-path=scripts/rules.json',
      '--error-on-warnings',
      ...write,
    ]),
  ],
] as const
for (const [name, ok] of passed) console.log(`${ok ? 'ok  ' : 'FAIL'} ${name}`)
process.exitCode = passed.every(([, ok]) => ok) ? 0 : 1

/** Strikes the broker, again and again until the time of the seed is over, with what it has drawn. */
import type { BrokerHost } from './broker-host.ts'
import type { SeededRandom } from './random.ts'
import { type Stage, sleep } from './stage.ts'
import type { Blow } from './swarm.ts'

/** How long disk errors and a full disk last at most. */
const lastingMsMax = 20_000

/** How long a directory is out of service before somebody sees it. */
const lameMsMax = 60_000

export async function strike(stage: Stage, host: BrokerHost): Promise<void> {
  const { world, temper } = stage
  const random = world.random.fork('blows')
  const { environment } = world.director
  const endMs = world.nowMs + temper.durationMs
  const names = Object.entries(temper.blows).flatMap(([name, weight]) =>
    Array.from({ length: weight as number }, () => name as Blow),
  )
  while (world.nowMs < endMs) {
    const waitMs = temper.blowIntervalMs * 2 * random.float()
    const untilMs = world.nowMs + Math.max(1, Math.min(waitMs, endMs - world.nowMs))
    while (world.nowMs < untilMs && !host.isLame) {
      await sleep(environment, Math.min(untilMs - world.nowMs, lameMsMax))
    }
    // A broker with a directory out of service is restarted before long.
    if (host.isLame) await restart(host, random)
    else if (names.length > 0 && world.nowMs < endMs)
      await strikeOnce(stage, host, random.pick(names), random)
  }
}

async function restart(host: BrokerHost, random: SeededRandom): Promise<void> {
  if (random.chance(0.5)) await host.stop()
  else host.end('kill', 'a directory is out of service')
}

async function strikeOnce(
  stage: Stage,
  host: BrokerHost,
  blow: Blow,
  random: SeededRandom,
): Promise<void> {
  const { world, trace } = stage
  const { environment } = world.director
  const { process } = host
  if (process === null) return
  switch (blow) {
    case 'kill':
      if (random.chance(0.5)) host.faults.dieSoon()
      else host.end('kill')
      return
    case 'powerLoss':
      host.end('power loss')
      return
    case 'cleanStop':
      return host.stop()
    case 'pause': {
      const durationMs = random.between(100, 20_000)
      trace.fault('broker paused', `${durationMs} ms`)
      world.pause(process, durationMs)
      return
    }
    case 'clockJump': {
      const byMs = random.pick([-1, 1]) * random.between(1_000, random.pick([60_000, 86_400_000]))
      trace.fault('clock jump', `${byMs} ms`)
      world.jumpClock(process, byMs)
      return
    }
    case 'diskErrors':
      host.faults.beginErrors()
      break
    case 'fullDisk':
      host.faults.fill(process.disk)
      break
    case 'failedWrite':
      host.faults.failSoon(random.pick(['sync', 'sync', 'write'] as const))
      break
  }
  await sleep(environment, random.between(10, lastingMsMax))
  host.faults.heal(world.disk('broker'))
  // What was taken out of service comes back with a restart.
  if (host.faults.struck && random.chance(0.8)) await restart(host, random)
}

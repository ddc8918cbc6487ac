import type { WaveSize } from '../release/fleet.ts'
import { mostWaves } from '../release/operations.ts'
import type { FleetTable } from './fleets.ts'
import { type Rule, rule as ruleFor } from './table.ts'

const rule = ruleFor<FleetTable>()

const tagsSelectTargets = rule(['tags'], ({ tags }) =>
  Object.keys(tags).length === 0
    ? [{ key: ['tags'], what: 'is empty: every instance of the account would be a target' }]
    : [],
)

const userIsNotRoot = rule(['user'], ({ user }) =>
  user === 'root'
    ? [{ key: ['user'], what: 'must not be root: the app and its hooks never run as root' }]
    : [],
)

const somethingIsRestarted = rule(['units', 'restart_command'], ({ units, restart_command }) => {
  if (units.length > 0 && restart_command) {
    return [{ key: ['restart_command'], what: 'stands beside "units": say one of them' }]
  }
  if (units.length > 0 || restart_command) return []
  return [{ key: ['units'], what: 'is missing; name the units to restart, or a "restart_command"' }]
})

const wavesGrow = rule(['waves'], ({ waves }) =>
  waves.flatMap((size, index) => {
    const earlier = waves.slice(0, index).filter((other) => typeof other === typeof size)
    const isPercentage = typeof size === 'string'
    // A wave of as many targets as the one before makes progress; the same percentage reaches nobody new.
    const shrinks = earlier.some((other) =>
      isPercentage ? amount(other) >= amount(size) : amount(other) > amount(size),
    )
    return shrinks ? [{ key: ['waves', index], what: 'must be larger than the wave before it' }] : []
  }),
)

const lastWaveReachesAll = rule(['waves'], ({ waves }) => {
  if (waves.length === 0) return [{ key: ['waves'], what: 'is empty; the shortest is ["100%"]' }]
  const last = waves.length - 1
  if (waves[last] === '100%') return []
  return [{ key: ['waves', last], what: 'must be "100%": the last wave reaches all' }]
})

const healthFitsActivation = rule(
  ['health_seconds', 'activate_seconds'],
  ({ health_seconds, activate_seconds }) => {
    if (health_seconds < activate_seconds) return []
    const what = `must be less than activate_seconds (${activate_seconds}): a target needs time to switch back, too`
    return [{ key: ['health_seconds'], what }]
  },
)

/** A fleet of any size: how many targets it has only AWS knows. */
const rolloutFitsItsExecution = rule(
  [
    'waves',
    'bake_seconds',
    'alarms',
    'max_concurrency',
    'prepare_seconds',
    'migrate_seconds',
    'activate_seconds',
  ],
  (table) => {
    if (table.waves.length === 0) return []
    const most = mostWaves({
      waves: table.waves as [WaveSize, ...WaveSize[]],
      bakeSeconds: table.bake_seconds,
      alarms: table.alarms,
      maxConcurrency: String(table.max_concurrency),
      prepareSeconds: table.prepare_seconds,
      migrateSeconds: table.migrate_seconds,
      activateSeconds: table.activate_seconds,
    })
    if (table.waves.length <= most) return []
    const what = `are ${table.waves.length}: with bake_seconds = ${table.bake_seconds} and these time limits a rollout of more than ${most} could need more than the 3,000 operations of a durable execution`
    return [{ key: ['waves'], what }]
  },
)

const variablesHaveAFile = rule(['health_url', 'env_file'], ({ health_url, env_file }) =>
  health_url.includes('${') && !env_file
    ? [{ key: ['health_url'], what: 'has a variable, but there is no "env_file" to read it from' }]
    : [],
)

const amount = (size: WaveSize) => Number.parseInt(String(size), 10)

export const FLEET_RULES: readonly Rule<FleetTable>[] = [
  tagsSelectTargets,
  userIsNotRoot,
  somethingIsRestarted,
  wavesGrow,
  lastWaveReachesAll,
  healthFitsActivation,
  rolloutFitsItsExecution,
  variablesHaveAFile,
]

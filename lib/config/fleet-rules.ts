import type { WaveSize } from '../release/fleet.ts'
import type { FleetTable } from './fleets.ts'

interface Broken {
  /** Below the fleet's table. */
  key: (string | number)[]
  what: string
}

type Rule = (fleet: FleetTable) => Broken[]

/** What a schema cannot say. Each rule stands alone; all that are broken are reported together. */
export function fleetRules(fleet: FleetTable): Broken[] {
  return [
    tagsSelectTargets,
    userIsNotRoot,
    somethingIsRestarted,
    wavesGrow,
    lastWaveReachesAll,
    healthFitsActivation,
    variablesHaveAFile,
  ].flatMap((rule) => rule(fleet))
}

const tagsSelectTargets: Rule = ({ tags }) =>
  Object.keys(tags).length === 0
    ? [{ key: ['tags'], what: 'is empty: every instance of the account would be a target' }]
    : []

const userIsNotRoot: Rule = ({ user }) =>
  user === 'root'
    ? [{ key: ['user'], what: 'must not be root: the app and its hooks never run as root' }]
    : []

const somethingIsRestarted: Rule = ({ units, restart_command }) => {
  if (units.length > 0 && restart_command) {
    return [{ key: ['restart_command'], what: 'stands beside "units": say one of them' }]
  }
  if (units.length > 0 || restart_command) return []
  return [{ key: ['units'], what: 'is missing; name the units to restart, or a "restart_command"' }]
}

const wavesGrow: Rule = ({ waves }) =>
  waves.flatMap((size, index) => {
    const earlier = waves.slice(0, index).filter((other) => typeof other === typeof size)
    const isPercentage = typeof size === 'string'
    // A wave of as many targets as the one before makes progress; the same percentage reaches nobody new.
    const shrinks = earlier.some((other) =>
      isPercentage ? amount(other) >= amount(size) : amount(other) > amount(size),
    )
    return shrinks ? [{ key: ['waves', index], what: 'must be larger than the wave before it' }] : []
  })

const amount = (size: WaveSize) => Number.parseInt(String(size), 10)

const lastWaveReachesAll: Rule = ({ waves }) => {
  if (waves.length === 0) return [{ key: ['waves'], what: 'is empty; the shortest is ["100%"]' }]
  const last = waves.length - 1
  return waves[last] === '100%'
    ? []
    : [{ key: ['waves', last], what: 'must be "100%": the last wave reaches all' }]
}

const healthFitsActivation: Rule = ({ health_seconds, activate_seconds }) =>
  health_seconds < activate_seconds
    ? []
    : [
        {
          key: ['health_seconds'],
          what: `must be less than activate_seconds (${activate_seconds}), which a target also needs to switch back`,
        },
      ]

const variablesHaveAFile: Rule = ({ health_url, env_file }) =>
  health_url.includes('${') && !env_file
    ? [{ key: ['health_url'], what: 'has a variable, but there is no "env_file" to read it from' }]
    : []

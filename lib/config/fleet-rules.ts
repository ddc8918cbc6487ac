import type { WaveSize } from '../release/fleet.ts'
import { mostWaves } from '../release/operations.ts'
import type { FleetTable } from './fleets.ts'
import { noPublicKeys } from './public-keys.ts'
import { type Rule, rule as ruleFor } from './table.ts'

const rule = ruleFor<FleetTable>()

/**
 * What all of these take: https://docs.aws.amazon.com/tag-editor/latest/userguide/best-practices-and-strats.html, the
 * policies of IAM (Latin-1 only), and State Manager, whose keys of 128 characters begin with `tag:`.
 */
const TAG_TEXT = /^(?=[ -ÿ]*$)[\p{L}\p{Z}\p{N}_.:/=+\-@]*$/u
const LONGEST_KEY = 124
const LONGEST_VALUE = 256
const MOST_TAGS = 5

const tagsSelectTargets = rule(['tags'], ({ tags }) => {
  const names = Object.keys(tags)
  if (names.length === 0)
    return [{ key: ['tags'], what: 'is empty: every instance of the account would be a target' }]
  if (names.length > MOST_TAGS)
    return [{ key: ['tags'], what: `are ${names.length}: State Manager selects by at most ${MOST_TAGS}` }]
  return Object.entries(tags)
    .filter(([name, value]) => name === '' || !isTag(name, LONGEST_KEY) || !isTag(value, LONGEST_VALUE))
    .map(([name]) => ({
      key: ['tags', name],
      what: `is no tag that AWS selects and permits by: ${LONGEST_KEY} characters for its key and ${LONGEST_VALUE} for its value, letters of Latin-1, digits, spaces and _ . : / = + - @`,
    }))
})

const isTag = (text: string, most: number) => text.length <= most && TAG_TEXT.test(text)

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

/** The document that holds them ends at 64 KB; 40 keys of ed25519, or 5 of RSA, have room. */
const MOST_SIGNERS_TEXT = 4_000

const signersAreKeys = rule(['signers'], ({ signers }) => {
  if (signers === 'off') return []
  const broken = noPublicKeys(signers).map(({ index, what }) => ({ key: ['signers', index], what }))
  const length = signers.join('').length
  const what = `are ${length} characters, of which a target's document takes ${MOST_SIGNERS_TEXT}: keys of ed25519 are the shortest`
  return length > MOST_SIGNERS_TEXT ? [...broken, { key: ['signers'], what }] : broken
})

/** Of all users' processes theirs is the one that verifies: https://man.openbsd.org/ptrace would let the app have its say. */
const appsUserVerifiesNothing = rule(['user', 'signers'], ({ user, signers }) =>
  user === 'nobody' && signers !== 'off'
    ? [
        {
          key: ['user'],
          what: 'must not be nobody: signatures are verified as that user, whom the app may not be',
        },
      ]
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
  signersAreKeys,
  appsUserVerifiesNothing,
]

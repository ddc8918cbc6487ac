import { z } from 'zod'
import {
  type FailureLimit,
  type FleetPolicy,
  failureLimit,
  ON_FAILURE,
  type WaveSize,
  waveSize,
} from '../release/fleet.ts'
import { isName, NAME_RULE } from '../release/names.ts'
import { type AlertConfig, readAlerts } from './alerts.ts'
import { conflictingFleets } from './conflicting-fleets.ts'
import { FLEET_RULES } from './fleet-rules.ts'
import { formatPath, type Mistake, refuseMistakes, unknownKey } from './mistakes.ts'
import { readTable } from './table.ts'
import { parseToml } from './toml.ts'
import { listOf, table, text, wholeNumber } from './values.ts'

/** What the operator decides for one app in one environment; baked into that pair's SSM document. */
export interface FleetConfig {
  environment: string
  app: string
  /** The tags that make an instance one of the fleet's targets. */
  tags: Record<string, string>
  /** `<base>/<app>/` holds everything of the app on a target. */
  base: string
  user: string
  /** What is restarted on activation: units of systemd ("-" before one that may be missing), or whatever `restartCommand` restarts. */
  units: string[]
  restartCommand?: string | undefined
  envFile?: string | undefined
  /** What makes virtualenvs: hard links to wheels that are unpacked once, or the bundle's own pip. */
  installer: 'links' | 'pip'
  healthUrl: string
  healthSeconds: number
  healthPasses: number
  waves: [WaveSize, ...WaveSize[]]
  bakeSeconds: number
  maxConcurrency: string
  maxPrepareFailures: FailureLimit
  maxActivateFailures: FailureLimit
  onFailure: FleetPolicy['onFailure']
  /** Names of CloudWatch alarms that stop a rollout. */
  alarms: string[]
  keepReleases: number
  /** How long the bucket has what is retired still. */
  retentionDays: number
  /** Who is given the stack's policies; others are attached by hand. */
  publishers: Principals
  viewers: Principals
  /** Of the instance profiles. */
  targetRoles: string[]
  /** Public keys of SSH: whose requests targets take; empty where they take everybody's who may upload. */
  signers: string[]
  prepareSeconds: number
  migrateSeconds: number
  activateSeconds: number
}

const absolutePath = (what: string) =>
  text(what).regex(/^\/[\w.@+/-]*$/, 'must be an absolute path of letters, digits and . _ @ + - /')

const failures = () =>
  z.custom<FailureLimit>((limit) => failureLimit.safeParse(limit).success, {
    error: ({ input }) =>
      `must be a count of targets (2) or a percentage ("10%"), not ${JSON.stringify(input)}`,
  })

const SIGNERS =
  'must be a list of SSH public keys, whose owners sign what is deployed, or "off": whoever may upload deploys'

const iamNames = (kind: string) =>
  listOf(
    text(`the name of an IAM ${kind}`).regex(
      /^[\w+=,.@-]{1,128}$/,
      `is not the name of an IAM ${kind} of this account, as in its ARN after the last "/"`,
    ),
    `names of IAM ${kind}s`,
  ).default([])
const principals = table({ roles: iamNames('role'), users: iamNames('user'), groups: iamNames('group') })
const nobody = { roles: [], users: [], groups: [] }
/** Who is given a policy of the stack, by their names in the account. */
export type Principals = z.infer<typeof principals>

const fleet = table({
  tags: z.record(z.string(), text('the value of a tag'), {
    error: 'is missing; must be a table: the tags that every target of the fleet carries',
  }),
  base: absolutePath('the folder on a target in which apps live').default('/opt/pybundle'),
  user: text("the app's user on a target").regex(/^[a-z_][a-z0-9_-]{0,31}$/, 'is not the name of a user'),
  units: listOf(text('the name of a unit').regex(/^-?[\w@.:][\w@.:-]*$/, 'is not a unit'), 'units').default(
    [],
  ),
  restart_command: text('a command').optional(),
  env_file: absolutePath('the path of a file on a target').optional(),
  installer: z.enum(['links', 'pip'], { error: 'must be "links" or "pip"' }).default('links'),
  health_url: text('the address at which a target asks its app').regex(
    /^https?:\/\/|^\$\{/,
    'must begin with http:// or https://',
  ),
  health_seconds: wholeNumber('seconds', { least: 1 }).default(30),
  health_passes: wholeNumber('good answers in a row', { least: 1, most: 100 }).default(2),
  waves: listOf(
    z.custom<WaveSize>((size) => waveSize.safeParse(size).success, {
      error: ({ input }) =>
        `must be a count of targets (2) or a percentage ("50%"), not ${JSON.stringify(input)}`,
    }),
    'wave sizes',
  ).default([1, '100%']),
  bake_seconds: wholeNumber('seconds').default(0),
  max_concurrency: z
    .custom<WaveSize>((size) => waveSize.safeParse(size).success, {
      error: ({ input }) =>
        `must be a count of targets (10) or a percentage ("50%"), not ${JSON.stringify(input)}`,
    })
    .default('50%'),
  max_prepare_failures: failures().default(0),
  max_activate_failures: failures().default(0),
  on_failure: z.enum(ON_FAILURE, { error: 'must be "revert" or "stop"' }).default('revert'),
  alarms: listOf(
    text('the name of a CloudWatch alarm')
      .max(255, 'is longer than 255 characters')
      .regex(/^(?!arn:)/, 'is the ARN of an alarm: its name is wanted, of one in this account and region'),
    'alarms',
  ).default([]),
  signers: z.union([z.literal('off'), z.array(z.string()).min(1, SIGNERS)], {
    error: ({ input }) => (input === undefined ? `is missing; ${SIGNERS}` : SIGNERS),
  }),
  publishers: principals.default(nobody),
  viewers: principals.default(nobody),
  target_roles: iamNames('role'),
  keep_releases: wholeNumber('releases', { least: 2, most: 100 }).default(5),
  retention_days: wholeNumber('days', { least: 1, most: 3650 }).default(30),
  prepare_seconds: wholeNumber('seconds', { least: 30, most: 172_800 }).default(900),
  migrate_seconds: wholeNumber('seconds', { least: 30, most: 172_800 }).default(3600),
  activate_seconds: wholeNumber('seconds', { least: 30, most: 172_800 }).default(120),
})
export type FleetTable = z.infer<typeof fleet>

export const FLEET_KEYS: readonly string[] = Object.keys(fleet.shape)
const keysAt = ([key]: readonly PropertyKey[]) =>
  key === 'publishers' || key === 'viewers' ? Object.keys(principals.shape) : FLEET_KEYS

/** The operator's `fleets.toml`. */
export interface OperatorConfig {
  /** The stack's name in CloudFormation. */
  stack: string
  fleets: FleetConfig[]
  alerts?: AlertConfig | undefined
}

const TOP_KEYS = ['stack', 'environments', 'alerts']
const DEFAULT_STACK = 'Pybundle'

export function parseFleets(toml: string, file: string): FleetConfig[] {
  return parseOperatorConfig(toml, file).fleets
}

/** Reads `[environments.<environment>.<app>]` tables, and what is of the whole stack. */
export function parseOperatorConfig(toml: string, file: string): OperatorConfig {
  const document = parseToml(toml, file)
  const mistakes: Mistake[] = Object.keys(document)
    .filter((key) => !TOP_KEYS.includes(key))
    .map((key) => unknownKey([key], TOP_KEYS))
  const stack = readStackName(document.stack, mistakes)
  const alerts = readAlerts(document.alerts, mistakes)
  const found = listTables(document.environments, mistakes).map((entry) => readFleet(entry, mistakes))
  const fleets = found.filter((config) => config !== undefined)
  mistakes.push(...conflictingFleets(fleets))
  refuseMistakes(file, mistakes)
  return { fleets, stack, alerts }
}

function readStackName(given: unknown = DEFAULT_STACK, mistakes: Mistake[]): string {
  if (typeof given === 'string' && /^[A-Za-z][A-Za-z0-9-]{0,39}$/.test(given)) return given
  mistakes.push({ path: 'stack', what: 'must be a letter, then up to 39 letters, digits and "-"' })
  return DEFAULT_STACK
}

interface Entry {
  environment: string
  app: string
  content: unknown
}

function listTables(environments: unknown, mistakes: Mistake[]): Entry[] {
  if (!isTable(environments) || Object.keys(environments).length === 0) {
    mistakes.push({ path: 'environments', what: 'is missing; a fleet is [environments.NAME.APP]' })
    return []
  }
  return Object.entries(environments).flatMap(([environment, apps]) => {
    if (isTable(apps) && Object.values(apps).every(isTable)) {
      return Object.entries(apps).map(([app, content]) => ({ environment, app, content }))
    }
    const path = formatPath(['environments', environment])
    mistakes.push({ path, what: `must hold a table for each app: [${path}.APP]` })
    return []
  })
}

/** Of which the bucket's policy says who may write there, whatever stands before them. */
const FOLDERS = ['requests', 'releases', 'rollouts', 'reports']

function readFleet({ environment, app, content }: Entry, mistakes: Mistake[]): FleetConfig | undefined {
  const path = ['environments', environment, app]
  for (const name of [environment, app]) {
    if (!isName(name))
      mistakes.push({ path: formatPath(path), what: `"${name}" is not a name: ${NAME_RULE}` })
  }
  if (FOLDERS.includes(app))
    mistakes.push({
      path: formatPath(path),
      what: `"${app}" is a folder of the bucket's own: call the app otherwise`,
    })
  const read = readTable(content, {
    schema: fleet,
    rules: FLEET_RULES,
    prefix: path,
    keysAt,
  })
  mistakes.push(...read.mistakes)
  return read.value && normalize(environment, app, read.value)
}

function normalize(environment: string, app: string, content: FleetTable): FleetConfig {
  const [first = '100%', ...rest] = content.waves
  return {
    environment,
    app,
    tags: content.tags,
    base: content.base,
    user: content.user,
    units: content.units,
    restartCommand: content.restart_command,
    envFile: content.env_file,
    installer: content.installer,
    healthUrl: content.health_url,
    healthSeconds: content.health_seconds,
    healthPasses: content.health_passes,
    waves: [first, ...rest],
    bakeSeconds: content.bake_seconds,
    maxConcurrency: String(content.max_concurrency),
    maxPrepareFailures: content.max_prepare_failures,
    maxActivateFailures: content.max_activate_failures,
    onFailure: content.on_failure,
    alarms: content.alarms,
    keepReleases: content.keep_releases,
    retentionDays: content.retention_days,
    publishers: content.publishers,
    viewers: content.viewers,
    targetRoles: content.target_roles,
    signers: content.signers === 'off' ? [] : content.signers,
    prepareSeconds: content.prepare_seconds,
    migrateSeconds: content.migrate_seconds,
    activateSeconds: content.activate_seconds,
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

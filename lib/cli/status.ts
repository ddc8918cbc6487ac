import type { ObjectStore } from '../aws/object-store.ts'
import { type FleetReport, fleetReport } from '../release/fleet-report.ts'
import { type AppScope, fleetKey, rolloutsPrefix, stateKey } from '../release/keys.ts'
import { type Outcome, type RolloutRecord, rolloutRecord } from '../release/record.ts'
import { EMPTY_STATE, type State, state as stateSchema } from '../release/state.ts'
import { colorsOf } from './colors.ts'
import { fleetTable, latestWords } from './fleet-table.ts'
import { secondsOf } from './follow.ts'
import type { AppOptions } from './open-app.ts'
import { GAP, plainTable } from './plain-table.ts'
import { printable } from './printable.ts'

const colors = colorsOf(process.stdout)

export interface StatusOptions extends AppOptions {
  refresh?: boolean | undefined
}

export interface Status {
  environment: string
  app: string
  state: State
  /** The latest first. */
  rollouts: RolloutRecord[]
  /** What each target served when it was last asked. */
  fleet?: FleetReport
}

const SHOWN_ROLLOUTS = 8
const SHORTEST_NAME = 8

export async function readStatus(store: ObjectStore, scope: AppScope): Promise<Status> {
  const [stored, fleet, records] = await Promise.all([
    store.readJson(stateKey(scope)),
    store.readJson(fleetKey(scope)),
    store.list(rolloutsPrefix(scope)),
  ])
  // Not by key: a refused upload may be named anything.
  const latest = records.sort((a, b) => b.lastModified.getTime() - a.lastModified.getTime())
  const rollouts: RolloutRecord[] = []
  for (let at = 0; at < latest.length && rollouts.length < SHOWN_ROLLOUTS; at += SHOWN_ROLLOUTS) {
    const some = latest.slice(at, at + SHOWN_ROLLOUTS)
    const read = await Promise.all(
      some.map(async ({ key }) => rolloutRecord.parse(printable(await store.readJson(key)))),
    )
    rollouts.push(...read.filter(({ action }) => action !== 'refresh'))
  }
  rollouts.sort((a, b) => b.startedAt.localeCompare(a.startedAt)).splice(SHOWN_ROLLOUTS)
  const state = stored ? stateSchema.parse(printable(stored)) : EMPTY_STATE
  return {
    ...scope,
    state,
    rollouts,
    ...(fleet !== undefined && { fleet: fleetReport.parse(printable(fleet)) }),
  }
}

/** What an environment runs, what is going on, and how the latest requests ended, refused ones too. */
export function renderStatus(
  { environment, app, state, rollouts, fleet }: Status,
  columns = Number.POSITIVE_INFINITY,
  now = new Date(),
): string {
  const head = [
    colors.bold(`${app} in ${environment}`),
    `current   ${state.current?.release ?? 'nothing deployed yet'}`,
    `previous  ${state.previous?.release ?? '-'}`,
    ...[...situation(state), ...broken(fleet)].map((line) => colors.yellow(line)),
  ]
  const targets = fleetTable(latestWords(fleet, rollouts), state.current?.release, now)
  const told = rollouts.length > 0 ? ['', rolloutTable(rollouts, columns), ...reasons(rollouts)] : []
  return [...head, ...told, ...targets].join('\n')
}

const IN_BETWEEN = {
  stopped: 'stopped   targets stay as they are, until a release or pybundle rollback',
  astray: 'astray    targets may differ: pybundle repair brings them together',
}

function situation({ lock, freeze, migration, failed, current, inBetween }: State): string[] {
  const running = lock && `running   rollout ${lock.request}`
  const open =
    migration && `migration of rollout ${migration.rollout} on ${migration.leader}: not known to have ended`
  const frozen =
    freeze && `frozen    ${freeze.until ? `until ${freeze.until}, ` : ''}by ${freeze.by}: ${freeze.reason}`
  const bad = failed.filter((release) => release !== current?.release).slice(0, 3)
  return [
    running,
    inBetween && IN_BETWEEN[inBetween],
    open,
    frozen,
    bad.length > 0 && `failed    ${bad.join(', ')}`,
  ].filter((line) => line || false) as string[]
}

/** Of the whole stack, and no matter of the app's: whoever operates it should know. */
function broken(fleet: FleetReport | undefined): string[] {
  const { failedStarts = 0 } = fleet ?? {}
  if (failedStarts === 0) return []
  const starts = failedStarts === 1 ? 'a start' : `${failedStarts} starts`
  return [`broken    ${starts} of the stack's functions failed for good: "Failed starts" in docs/runbook.md`]
}

const COLORS: Partial<Record<Outcome, (text: string) => string>> = {
  done: colors.green,
  running: colors.cyan,
  superseded: colors.dim,
}

function rolloutTable(rollouts: RolloutRecord[], columns: number): string {
  const rows = rollouts.map((record) => [
    shortTime(record),
    record.from ? `${record.action} from ${record.from}` : record.action,
    record.release ?? '-',
    record.outcome,
    record.endedAt ? `${secondsOf(record).toFixed(0)} s` : '',
  ])
  const head = ['when (UTC)', 'what', 'release', 'outcome', 'took']
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at]?.length ?? 0)))
  const left = columns - widths.reduce((sum, width) => sum + width + GAP.length, 0)
  const table = plainTable([...head, 'by'])
  for (const [at, { outcome, requestedBy }] of rollouts.entries()) {
    const paint = COLORS[outcome] ?? colors.red
    const cells = rows[at] ?? []
    table.push([...cells.with(3, paint(outcome)), shorten(requestedBy, Math.max(left, SHORTEST_NAME))])
  }
  return table.toString()
}

function shorten(text: string, width: number): string {
  return text.length > width ? `${text.slice(0, width - 1)}…` : text
}

function shortTime({ startedAt }: RolloutRecord): string {
  return startedAt.slice(0, 19).replace('T', ' ')
}

function reasons(rollouts: RolloutRecord[]): string[] {
  const told = rollouts.filter(({ reason, outcome }) => reason && outcome !== 'superseded')
  return told.map((record) => `${colors.dim(shortTime(record))} ${record.reason}`)
}

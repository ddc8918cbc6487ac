import type { ObjectStore } from '../aws/object-store.ts'
import { type AppScope, rolloutsPrefix, stateKey } from '../release/keys.ts'
import { type Outcome, type RolloutRecord, rolloutRecord } from '../release/record.ts'
import { EMPTY_STATE, type State, state as stateSchema } from '../release/state.ts'
import type { Verdict } from '../release/verdict.ts'
import { colorsOf } from './colors.ts'
import { secondsOf } from './follow.ts'
import { GAP, plainTable } from './plain-table.ts'

const colors = colorsOf(process.stdout)

export interface Status {
  environment: string
  app: string
  state: State
  /** The latest first. */
  rollouts: RolloutRecord[]
}

const SHOWN_ROLLOUTS = 8
const SHORTEST_NAME = 8

export async function readStatus(store: ObjectStore, scope: AppScope): Promise<Status> {
  const [stored, records] = await Promise.all([
    store.readJson(stateKey(scope)),
    store.list(rolloutsPrefix(scope)),
  ])
  // Not by key: a refused upload may be named anything.
  const latest = records.sort((a, b) => b.lastModified.getTime() - a.lastModified.getTime())
  const rollouts = await Promise.all(
    latest.slice(0, SHOWN_ROLLOUTS).map(async ({ key }) => rolloutRecord.parse(await store.readJson(key))),
  )
  rollouts.sort((a, b) => b.startedAt.localeCompare(a.startedAt))
  return { ...scope, state: stored ? stateSchema.parse(stored) : EMPTY_STATE, rollouts }
}

/** What an environment runs, what is going on, and how the latest requests ended, refused ones too. */
export function renderStatus(
  { environment, app, state, rollouts }: Status,
  columns = Number.POSITIVE_INFINITY,
): string {
  const head = [
    colors.bold(`${app} in ${environment}`),
    `current   ${state.current?.release ?? 'nothing deployed yet'}`,
    `previous  ${state.previous?.release ?? '-'}`,
    ...situation(state).map((line) => colors.yellow(line)),
  ]
  if (rollouts.length === 0) return head.join('\n')
  return [...head, '', rolloutTable(rollouts, columns), ...reasons(rollouts), ...targetTable(rollouts)].join(
    '\n',
  )
}

function situation({ lock, freeze, migration, failed, current }: State): string[] {
  const running = lock && `${lock.isStopped ? 'stopped ' : 'running '}  rollout ${lock.request}`
  const open =
    migration && `migration of rollout ${migration.rollout} on ${migration.leader}: not known to have ended`
  const frozen =
    freeze && `frozen    ${freeze.until ? `until ${freeze.until}, ` : ''}by ${freeze.by}: ${freeze.reason}`
  const bad = failed.filter((release) => release !== current?.release).slice(0, 3)
  return [running, open, frozen, bad.length > 0 && `failed    ${bad.join(', ')}`].filter(
    (line) => line || false,
  ) as string[]
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

/** Each target's last word, from the latest rollouts. */
function targetTable(rollouts: RolloutRecord[]): string[] {
  const seen = new Map<string, string>()
  for (const record of rollouts) {
    for (const [target, verdicts] of Object.entries(record.targets)) {
      const last = Object.values(verdicts).at(-1)
      if (last && !seen.has(target)) seen.set(target, servedBy(last))
    }
  }
  if (seen.size === 0) return []
  const table = plainTable(['target', 'serves, as of its last rollout'])
  for (const [target, release] of [...seen].sort()) table.push([target, release])
  return ['', table.toString()]
}

/** A target that fell silent may serve anything. */
function servedBy({ current, outcome }: Verdict): string {
  return current ?? (outcome === 'failed' || outcome === 'gone' ? 'unknown' : 'nothing')
}

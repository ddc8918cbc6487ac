import pc from 'picocolors'
import type { ObjectStore } from '../aws/object-store.ts'
import { type AppScope, rolloutsPrefix, stateKey } from '../release/keys.ts'
import { type Outcome, type RolloutRecord, rolloutRecord } from '../release/record.ts'
import { EMPTY_STATE, type State, state as stateSchema } from '../release/state.ts'
import { secondsOf } from './follow.ts'
import { plainTable } from './plain-table.ts'

export interface Status {
  environment: string
  app: string
  state: State
  /** The latest first. */
  rollouts: RolloutRecord[]
}

const SHOWN_ROLLOUTS = 8

export async function readStatus(store: ObjectStore, scope: AppScope): Promise<Status> {
  const [stored, records] = await Promise.all([
    store.readJson(stateKey(scope)),
    store.list(rolloutsPrefix(scope)),
  ])
  const latest = records
    .map(({ key }) => key)
    .sort()
    .reverse()
    .slice(0, SHOWN_ROLLOUTS)
  const rollouts = await Promise.all(
    latest.map(async (key) => rolloutRecord.parse(await store.readJson(key))),
  )
  return { ...scope, state: stored ? stateSchema.parse(stored) : EMPTY_STATE, rollouts }
}

/** What an environment runs, what is going on, and how the latest requests ended, refused ones too. */
export function renderStatus({ environment, app, state, rollouts }: Status): string {
  const head = [
    pc.bold(`${app} in ${environment}`),
    `current   ${state.current?.release ?? 'nothing deployed yet'}`,
    `previous  ${state.previous?.release ?? '-'}`,
    ...(state.lock ? [pc.yellow(`running   rollout ${state.lock.request}`)] : []),
  ]
  if (rollouts.length === 0) return head.join('\n')
  return [...head, '', rolloutTable(rollouts), ...reasons(rollouts), ...targetTable(rollouts)].join('\n')
}

const COLORS: Partial<Record<Outcome, (text: string) => string>> = {
  done: pc.green,
  running: pc.cyan,
  superseded: pc.dim,
}

function rolloutTable(rollouts: RolloutRecord[]): string {
  const table = plainTable(['when', 'what', 'release', 'by', 'outcome', 'took'])
  for (const record of rollouts) {
    const paint = COLORS[record.outcome] ?? pc.red
    table.push([
      record.startedAt.slice(0, 19).replace('T', ' '),
      record.from ? `${record.action} from ${record.from}` : record.action,
      record.release ?? '-',
      record.requestedBy,
      paint(record.outcome),
      record.endedAt ? `${secondsOf(record).toFixed(0)} s` : '',
    ])
  }
  return table.toString()
}

function reasons(rollouts: RolloutRecord[]): string[] {
  const told = rollouts.filter(({ reason, outcome }) => reason && outcome !== 'superseded')
  return told.map(({ startedAt, reason }) => `${pc.dim(startedAt.slice(0, 19).replace('T', ' '))} ${reason}`)
}

/** Each target's last word, from the latest rollouts. */
function targetTable(rollouts: RolloutRecord[]): string[] {
  const seen = new Map<string, string | null>()
  for (const record of rollouts) {
    for (const [target, verdicts] of Object.entries(record.targets)) {
      const last = Object.values(verdicts).at(-1)
      if (last && !seen.has(target)) seen.set(target, last.current)
    }
  }
  if (seen.size === 0) return []
  const table = plainTable(['target', 'serves, as of its last rollout'])
  for (const [target, release] of [...seen].sort()) table.push([target, release ?? '-'])
  return ['', table.toString()]
}

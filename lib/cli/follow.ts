import { setTimeout as sleep } from 'node:timers/promises'
import type { ObjectStore } from '../aws/object-store.ts'
import { type AppScope, rolloutKey, stateKey } from '../release/keys.ts'
import { type Outcome, type Phase, type RolloutRecord, rolloutRecord } from '../release/record.ts'
import { state } from '../release/state.ts'
import { colorsOf } from './colors.ts'
import { printable } from './printable.ts'

const colors = colorsOf(process.stderr)

export interface FollowOptions {
  store: ObjectStore
  scope: AppScope
  requestId: string
  json?: boolean | undefined
  /** One line of news each; standard error by default, so that standard output stays for results. */
  say?: ((line: string) => void) | undefined
}

/** 0 done, 1 the user can mend it, 3 rolled back, 4 stopped. */
const EXIT_CODES: Record<Outcome, number> = {
  running: 1,
  done: 0,
  failed: 1,
  refused: 1,
  superseded: 1,
  'rolled-back': 3,
  stopped: 4,
}

/** As a shell counts a command that Ctrl-C ended. */
const INTERRUPTED = 130

const POLL_MS = 700
const SILENT_POLLS = 40
/** A network may be away for a moment in a rollout of hours. */
const FAILED_READS = 10

/**
 * Follows a rollout from its record until it has ended; the record is all it needs. Returns the exit code.
 * Ctrl-C leaves the rollout alone.
 */
export async function followRollout(options: FollowOptions): Promise<number> {
  const say = options.say ?? ((line: string) => console.error(line))
  const leaving = new AbortController()
  const leave = () => leaving.abort()
  process.once('SIGINT', leave)
  try {
    return await followUntilItEnds(options, say, leaving.signal)
  } catch (error) {
    const { environment } = options.scope
    say(`No longer following; the rollout itself goes on. pybundle status --environment ${environment}`)
    if (leaving.signal.aborted) return INTERRUPTED
    throw error
  } finally {
    process.off('SIGINT', leave)
  }
}

async function followUntilItEnds(
  options: FollowOptions,
  say: (line: string) => void,
  leaving: AbortSignal,
): Promise<number> {
  const told = new Set<string>()
  for (let poll = 1; ; poll++) {
    const record = await readPatiently(options, leaving)
    for (const line of record ? news(record) : []) {
      if (!told.has(line)) say(line)
      told.add(line)
    }
    if (record && record.outcome !== 'running') {
      if (options.json) console.log(JSON.stringify(record))
      else for (const line of conclusion(record)) say(line)
      return EXIT_CODES[record.outcome]
    }
    if (!record && poll % SILENT_POLLS === 0) say(await whyNothing(options))
    await sleep(POLL_MS, undefined, { signal: leaving })
  }
}

async function readPatiently(options: FollowOptions, leaving: AbortSignal) {
  for (let failed = 1; ; failed++) {
    try {
      return await readRecord(options)
    } catch (error) {
      if (failed === FAILED_READS) throw error
      await sleep(POLL_MS, undefined, { signal: leaving })
    }
  }
}

async function readRecord({ store, scope, requestId }: FollowOptions): Promise<RolloutRecord | undefined> {
  const found = await store.readJson(rolloutKey(scope, requestId))
  return found ? rolloutRecord.parse(printable(found)) : undefined
}

/** A line for each phase that began, and one for each that ended. */
function news(record: RolloutRecord): string[] {
  return record.phases.flatMap((phase) => {
    const begun = `${colors.cyan('▸')} ${phase.name}: ${targets(phase.targets.length)}`
    return phase.endedAt ? [begun, ended(record, phase)] : [begun]
  })
}

function ended(record: RolloutRecord, phase: Phase): string {
  const failed = phase.targets.filter((target) => isBad(record, phase, target))
  const mark = failed.length > 0 ? colors.red('✗') : colors.green('✓')
  const failures = failed.length > 0 ? `, ${failed.length} failed` : ''
  return `${mark} ${phase.name} (${secondsOf(phase).toFixed(1)} s${failures})`
}

function isBad(record: RolloutRecord, phase: Phase, target: string): boolean {
  const said = record.targets[target]?.[phase.action]
  return said !== undefined && !['done', 'running', 'gone'].includes(said.outcome)
}

export function secondsOf({
  startedAt,
  endedAt,
}: {
  startedAt: string
  endedAt?: string | undefined
}): number {
  return (Date.parse(endedAt ?? startedAt) - Date.parse(startedAt)) / 1000
}

const targets = (count: number) => (count === 1 ? '1 target' : `${count} targets`)

const HEADLINES: Record<Outcome, string> = {
  running: 'is running',
  done: 'is live',
  failed: 'failed',
  refused: 'was refused',
  superseded: 'was superseded',
  'rolled-back': 'was rolled back',
  stopped: 'was stopped',
}

function conclusion(record: RolloutRecord): string[] {
  const what = record.release ? `release ${record.release}` : `request ${record.id}`
  const became = record.release || record.outcome !== 'done' ? HEADLINES[record.outcome] : 'took effect'
  const headline = `${record.environment}/${record.app}: ${what} ${became} (${secondsOf(record).toFixed(1)} s)`
  const color = record.outcome === 'done' ? colors.green : colors.red
  return [color(headline), ...(record.reason ? [record.reason] : []), ...failedLogs(record)]
}

/** The app's own last words are worth more than ours. */
function failedLogs(record: RolloutRecord): string[] {
  if (record.outcome === 'done') return []
  return Object.entries(record.targets).flatMap(([target, verdicts]) =>
    Object.values(verdicts).flatMap(({ outcome, log, action }) =>
      log && outcome !== 'done'
        ? [colors.bold(`${target}, ${action}:`), ...log.split('\n').map((line) => colors.dim(`  | ${line}`))]
        : [],
    ),
  )
}

async function whyNothing({ store, scope, requestId }: FollowOptions): Promise<string> {
  const lock = state.safeParse(printable(await store.readJson(stateKey(scope)))).data?.lock
  if (lock)
    return colors.yellow(`waiting: rollout ${lock.request} has the lock of ${scope.environment}/${scope.app}`)
  return colors.yellow(
    `waiting: nothing has taken up request ${requestId} yet. Is the stack of this bucket deployed?`,
  )
}

import Table from 'cli-table3'
import type { RolloutRecord } from '../../lib/release/record.ts'

export interface Row {
  environment: string
  target: string
  release: string
  migration: number
  /** How long each phase took on the target. */
  seconds: Record<string, number>
}

const PHASES = ['prepare', 'migrate', 'activate', 'catch-up']

export function phaseSeconds(record: RolloutRecord, target: string): Record<string, number> {
  const verdicts = Object.entries(record.targets[target] ?? {})
  return Object.fromEntries(
    verdicts.map(([action, { phases }]) => [
      action,
      Object.values(phases).reduce((sum, each) => sum + each, 0),
    ]),
  )
}

export function summaryTable(rows: readonly Row[]): string {
  const head = ['environment', 'target', 'release', 'migration', ...PHASES]
  const table = new Table({ head, style: { head: [], border: [] } })
  for (const { environment, target, release, migration, seconds } of rows) {
    const took = PHASES.map((phase) => (phase in seconds ? `${seconds[phase]?.toFixed(1)} s` : ''))
    table.push([environment, target, release, String(migration), ...took])
  }
  return table.toString()
}

import { expect } from 'vitest'
import type { RolloutRecord } from '../../lib/release/record.ts'
import { countOperations } from '../../local/lambda/durable/execution.ts'
import type { Machine } from './machine.ts'

const MEGABYTE = 1_000_000
/** Of one step's result; an execution may write 100 MB in all. */
const LARGEST_RESULT = 262_144
/** What the function has, in `lib/stack`; here the local cloud and all targets are in the same process. */
const FUNCTION_MEGABYTES = 512

/** Prints what a rollout cost, and holds it against the limits of what it runs on. */
export async function measured(machine: Machine, work: () => Promise<RolloutRecord>): Promise<RolloutRecord> {
  const calls = new Map<string, Map<string, number>>()
  let peakMemory = 0
  machine.fleet.onCall((operation) => {
    const phase = phaseNow(machine)
    const counted = calls.get(phase) ?? new Map<string, number>()
    calls.set(phase, counted.set(operation, (counted.get(operation) ?? 0) + 1))
    peakMemory = Math.max(peakMemory, process.memoryUsage().rss / MEGABYTE)
    return undefined
  })
  const invocations = machine.invocations
  const began = performance.now()
  const record = await work()
  const realSeconds = (performance.now() - began) / 1000

  const execution = machine.executions().at(-1)
  const results = execution?.operations.map(({ StepDetails }) => StepDetails?.Result?.length ?? 0) ?? []
  const used = execution ? countOperations(execution) : 0
  console.table(
    Object.fromEntries([...calls].map(([phase, counted]) => [phase, Object.fromEntries(counted)])),
  )
  const seconds = secondsOf(record)
  const share = (part: number) => `${((part / seconds) * 100).toFixed(1)} %`
  console.log(
    [
      `${record.outcome} after ${seconds} s; share of the control plane: ${share(lookedSeconds(machine, record))} to see that all had ended, ${share(realSeconds)} to compute`,
      `${used} operations in ${machine.invocations - invocations} invocations, which computed for ${realSeconds.toFixed(1)} s`,
      `largest result of a step ${Math.max(...results)} bytes, record ${JSON.stringify(record).length} bytes`,
      `peak memory ${peakMemory.toFixed()} MB, with the local cloud and the targets`,
    ].join('\n'),
  )
  expect(used).toBeLessThan(3000)
  expect(Math.max(...results)).toBeLessThan(LARGEST_RESULT)
  expect(peakMemory).toBeLessThan(2 * FUNCTION_MEGABYTES)
  return record
}

/** As the durable operation says that began last: `watch wave 2`. */
function phaseNow(machine: Machine): string {
  const last = machine.executions().at(-1)?.operations.at(-1)?.Name ?? ''
  return last.replace(/^(send|watch|judge|heed|bake) /, '').replace(/^(\d)/, 'wave $1')
}

const secondsOf = ({ startedAt, endedAt = startedAt }: { startedAt: string; endedAt?: string | undefined }) =>
  (Date.parse(endedAt) - Date.parse(startedAt)) / 1000

/** Between the last word of a phase's targets and its end; a target that says none is waited for, not looked for. */
function lookedSeconds(machine: Machine, { phases, targets }: RolloutRecord): number {
  const isHeard = (id: string) => Object.values(targets[id] ?? {}).every(({ silent }) => !silent)
  const heard = phases.filter((phase) => phase.targets.every(isHeard))
  return heard.reduce((sum, { targets: told, startedAt, endedAt = startedAt }) => {
    const words = told.flatMap((id) => machine.fleet.target(id).done.map(({ at }) => at))
    const last =
      words
        .filter((at) => at >= startedAt && at <= endedAt)
        .sort()
        .at(-1) ?? startedAt
    return sum + secondsOf({ startedAt: last, endedAt })
  }, 0)
}

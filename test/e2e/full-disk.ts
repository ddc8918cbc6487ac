import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { CloudTarget } from '../../local/cloud.ts'
import { PROGRAMS } from '../../local/targets/target-files.ts'
import { TargetDisk } from './on-disk.ts'
import { ROOT, type TeamAtWork } from './team-at-work.ts'

/**
 * From the named step of the target program on its disk takes nothing more, as test/target/tracer.py makes it:
 * the target's first `python3` runs the program under it.
 */
export function fillDisk(team: TeamAtWork, target: CloudTarget, step: string): void {
  const script = `#!/bin/sh
real=$(PATH="\${PATH#*:}" command -v python3)
case "$*" in
*/dev/fd/3) ;;
*) exec "$real" "$@" ;;
esac
export PYBUNDLE_ROOT="\${PYBUNDLE_ROOT-}" TRACE_AT="${step}" TRACE_THEN=full
exec "$real" -IS -X utf8 "${join(ROOT, 'test/target/tracer.py')}"
`
  writeFileSync(pythonOf(team, target), script, { mode: 0o755 })
}

export function freeDisk(team: TeamAtWork, target: CloudTarget): void {
  rmSync(pythonOf(team, target))
}

function pythonOf(team: TeamAtWork, target: CloudTarget): string {
  return join(new TargetDisk(team, target).root, PROGRAMS, 'python3')
}

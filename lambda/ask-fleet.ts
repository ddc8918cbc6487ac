import type { FleetMember } from '../lib/aws/fleet-directory.ts'
import type { RunCommand } from '../lib/aws/run-command.ts'
import type { FleetLook } from '../lib/release/fleet-report.ts'
import { verdictsOf } from '../lib/release/progress.ts'

/** A status takes a target a second; who is slower is silent this time. */
const LONGEST_WAIT_SECONDS = 60
const LOOK_EVERY_SECONDS = 1
/** The least that Run Command takes; a command that nobody fetches does not outlive the next look. */
const DELIVERY_SECONDS = 60

interface Fleet {
  commands: RunCommand
  document: string
  listFleet(): Promise<FleetMember[]>
  listGone(targets: readonly string[]): Promise<string[]>
  pause(seconds: number): Promise<unknown>
}

/** Asks each target what it serves, for a minute at most. */
export async function askFleet(fleet: Fleet): Promise<FleetLook> {
  // Of before the first answer: what a rollout has changed since is news to this look.
  const asOf = new Date().toISOString()
  const members = await fleet.listFleet()
  const online = members.filter((member) => member.online).map(({ target }) => target)
  const serves = await askStatus(fleet, online)
  const quiet = members.map(({ target }) => target).filter((target) => !serves.has(target))
  const stopped = quiet.length > 0 ? await fleet.listGone(quiet) : []
  return {
    asOf,
    members: members.map(({ target }) => target),
    serves: Object.fromEntries(serves),
    stopped,
  }
}

async function askStatus({ commands, document: name, pause }: Fleet, targets: readonly string[]) {
  if (targets.length === 0) return new Map<string, string | null>()
  const since = new Date().toISOString()
  const document = await commands.pinDocument(name)
  const command = {
    action: 'status' as const,
    release: '',
    digests: { bundle: '', code: '' },
    token: 0,
    rollout: '',
  }
  const { commandIds, refused } = await commands.send({
    document,
    targets,
    command,
    comment: `status ${since}`,
    since,
    maxConcurrency: '100%',
    deliverySeconds: DELIVERY_SECONDS,
  })
  const awaited = targets.length - refused.length
  const deadline = Date.now() + LONGEST_WAIT_SECONDS * 1000
  for (;;) {
    const ended = await commands.endedCounts(commandIds, { document, since })
    if (ended.reduce((sum, count) => sum + count, 0) >= awaited || Date.now() >= deadline) break
    await pause(LOOK_EVERY_SECONDS)
  }
  const verdicts = verdictsOf('status', await commands.invocations(commandIds))
  const spoke = Object.entries(verdicts).filter(([, { silent }]) => !silent)
  return new Map(spoke.map(([target, { current }]) => [target, current]))
}

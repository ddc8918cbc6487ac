import type { AppScope } from '../../lib/release/keys.ts'
import type { RolloutRecord } from '../../lib/release/record.ts'
import type { Cloud, CloudTarget } from '../cloud.ts'
import { askApp, BrokenPromise, type Expected, eventually, expectEqual, expectServed } from './acceptance.ts'
import { type Attempt, attempts } from './intruder.ts'
import type { Ledger } from './ledger.ts'
import type { SshKey } from './ssh-key.ts'
import { phaseSeconds, type Row } from './summary.ts'
import type { Team } from './team.ts'

export interface Stage {
  cloud: Cloud
  team: Team
  ledger: Ledger
  app: string
  /** Of somebody who is none of production's signers. */
  intruder: SshKey
  /** Begins an act: tells the audience what it is about. */
  act: (title: string) => void
  say: (line: string) => void
}

const ROLLED_BACK = 3
const CATCH_UP_SECONDS = 40

/** A team's first hour. Each act ends with what the apps themselves say; the first broken promise is thrown. */
export async function firstHour(stage: Stage): Promise<Row[]> {
  const { cloud, team, app, act, say } = stage
  const staging = { environment: 'staging', app }
  const production = { environment: 'production', app }

  act('A fleet starts for staging, with 2 targets')
  const stagingTargets = await cloud.startFleet({ ...staging, count: 2 })

  act(
    'The first revision goes to staging: bundle, code archive, request. Meanwhile production gets 5 targets',
  )
  const [productionTargets, published] = await Promise.all([
    cloud.startFleet({ ...production, count: 5 }),
    team.run('publish-release', '--environment', 'staging'),
  ])
  expectEqual('publish-release', published, 0)
  await expectFleet(stagingTargets, { release: await latestRelease(stage, staging), migration: 1 })

  act('A second revision: other code, a new dependency, a migration')
  await team.commitRevision(2)
  expectEqual('publish-release', await team.run('publish-release', '--environment', 'staging'), 0)
  const second = { release: await latestRelease(stage, staging), migration: 2 }
  await expectFleet(stagingTargets, second)

  act('It is promoted to production, in waves of 1, 2 and the rest')
  expectEqual('promote', await team.run('promote', '--from', 'staging', '--to', 'production'), 0)
  await expectFleet(productionTargets, second)
  expectEqual('waves', waveSizes(await latest(stage, production)), [1, 2, 2])
  const promoted = await latest(stage, production)

  act('A third revision starts, but is not healthy: production must not notice')
  const before = await pids(productionTargets)
  await team.commitRevision(3)
  expectEqual(
    'publish-release',
    await team.run('publish-release', '--environment', 'production'),
    ROLLED_BACK,
  )
  await expectFleet(productionTargets, second)
  await expectOnlyFirstWaveTouched(stage, productionTargets, before)

  act('Somebody has stolen the permission to upload to production, but none of its keys')
  await expectIntruderRefused(stage, production, promoted.id)
  await expectFleet(productionTargets, second)

  act('A code archive is dropped into the bucket by hand, with nothing but an S3 client')
  await team.commitRevision(4)
  const dropped = await dropByHand(stage, staging)
  await expectFleet(stagingTargets, { release: dropped.release ?? '', migration: 2 })
  say(`deployed as release ${dropped.release}, asked for by the ${dropped.requestedBy}`)

  act('A sixth production target starts late and catches up by itself')
  const startedAt = performance.now()
  const late = await cloud.addTarget(production)
  await eventually('the late target serves', CATCH_UP_SECONDS, () => expectServed(late.url, second))
  const catchUpSeconds = (performance.now() - startedAt) / 1000
  say(`${late.instanceId} serves ${second.release} after ${catchUpSeconds.toFixed(1)} s`)

  return Promise.all([
    ...stagingTargets.map((target) => row('staging', target, phaseSeconds(dropped, target.instanceId))),
    ...productionTargets.map((target) =>
      row('production', target, phaseSeconds(promoted, target.instanceId)),
    ),
    row('production', late, { 'catch-up': catchUpSeconds }),
  ])
}

async function expectFleet(targets: readonly CloudTarget[], expected: Expected): Promise<void> {
  await Promise.all(targets.map(({ url }) => expectServed(url, expected)))
}

async function latest({ ledger }: Stage, scope: AppScope): Promise<RolloutRecord> {
  const [record] = await ledger.records(scope)
  if (!record) throw new Error(`no rollout of ${scope.app} in ${scope.environment} was recorded`)
  return record
}

async function latestRelease(stage: Stage, scope: AppScope): Promise<string> {
  return (await latest(stage, scope)).release ?? ''
}

function waveSizes({ phases }: RolloutRecord): number[] {
  return phases.filter(({ name }) => name.startsWith('wave')).map(({ targets }) => targets.length)
}

async function pids(targets: readonly CloudTarget[]): Promise<Map<string, number>> {
  const asked = targets.map(async ({ instanceId, url }) => [instanceId, (await askApp(url)).pid] as const)
  return new Map(await Promise.all(asked))
}

/** The first wave's target went back by itself; the others were prepared and never restarted. */
async function expectOnlyFirstWaveTouched(
  stage: Stage,
  targets: readonly CloudTarget[],
  before: Map<string, number>,
) {
  const record = await latest(stage, { environment: 'production', app: stage.app })
  const activated = Object.entries(record.targets).filter(([, verdicts]) => verdicts.activate)
  const prepared = Object.values(record.targets).filter(({ prepare }) => prepare?.outcome === 'done')
  expectEqual('outcome', record.outcome, 'rolled-back')
  expectEqual('targets activated', activated.length, 1)
  expectEqual('targets prepared', prepared.length, targets.length)

  const [failed, verdicts] = activated[0] ?? []
  expectEqual('what the first target did', verdicts?.activate?.outcome, 'reverted')
  const after = await pids(targets)
  for (const { instanceId } of targets) {
    if (instanceId !== failed)
      expectEqual(`process of ${instanceId}`, after.get(instanceId), before.get(instanceId))
  }
  if (!verdicts?.activate?.log) throw new Error(`${failed} went back without a word of the app's own`)
}

async function expectIntruderRefused(stage: Stage, scope: AppScope, signed: string): Promise<void> {
  const { ledger, team, intruder: key, say } = stage
  const genuine = await ledger.request(scope, signed)
  const archive = await team.archiveByHand()
  const tried: Record<string, Attempt> = await attempts({ ledger, scope, key, archive, genuine })
  for (const [how, { request, refusal }] of Object.entries(tried)) {
    await ledger.ask(scope, request)
    const { outcome, reason = '' } = await eventually(`the ${how} request is refused`, 60, async () => {
      const record = await ledger.record(scope, request.id)
      return record.outcome === 'running' ? undefined : record
    })
    say(`${how}: ${outcome}. ${reason}`)
    if (outcome === 'done' || !refusal.test(reason))
      throw new BrokenPromise(`a ${how} request ended as ${outcome}: ${reason}`)
  }
}

async function dropByHand(stage: Stage, scope: AppScope): Promise<RolloutRecord> {
  const key = await stage.ledger.drop(scope, 'by-hand', await stage.team.archiveByHand())
  stage.say(`put ${key}`)
  const record = await eventually('the dropped archive is deployed', 60, async () => {
    const newest = await latest(stage, scope)
    return newest.requestedBy.endsWith(key) && newest.outcome !== 'running' ? newest : undefined
  })
  expectEqual('outcome', [record.outcome, record.reason], ['done', undefined])
  return record
}

/** Each row of the table is what the app says now, not what we believe. */
async function row(environment: string, target: CloudTarget, seconds: Record<string, number>): Promise<Row> {
  const { release, migration } = await askApp(target.url)
  return { environment, target: target.instanceId, release, migration, seconds }
}

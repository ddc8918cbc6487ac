import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventually } from '../../local/demo/acceptance.ts'
import { startCloudProcess } from './cloud-process.ts'
import { fleetTable, type SlowTeam, slowTeam, tell } from './guestbook-fleet.ts'
import { expectServes, TargetDisk } from './on-disk.ts'

const DONE = 0

let cloud: Awaited<ReturnType<typeof startCloudProcess>>
let team: SlowTeam
beforeAll(async () => {
  team = await slowTeam({
    targets: 3,
    fleets: fleetTable('staging', 'waves = [1, "100%"]\nbake_seconds = 4'),
    start: async (options) => {
      cloud = await startCloudProcess(options)
      return cloud
    },
  })
}, 240_000)
afterAll(() => team?.close())

const served = async () => (await team.state()).current?.release ?? ''

/** A rollout, as far as to the first answer of a wave. */
async function untilWave(number: number) {
  await team.change()
  const { published, record } = await team.begin()
  const { release = '', phases } = await record(`wave ${number}`, (known) => {
    return known.phases.at(-1)?.name === `wave ${number}`
  })
  return { published, record, release, wave: phases.at(-1)?.targets ?? [] }
}

describe('a local cloud that is killed in mid-rollout and starts again', () => {
  it('goes on where it was, when it was between two waves', async () => {
    expect((await team.publish()).exitCode).toBe(DONE)
    const { published, record: waitFor, release } = await untilWave(1)
    await waitFor('wave 1 is over', ({ phases }) => phases.at(-1)?.endedAt !== undefined)
    await cloud.kill()
    await cloud.startAgain()
    expect((await published).exitCode).toBe(DONE)
    const record = await team.latest()
    expect(record.phases.map(({ name }) => name)).toEqual([
      'prepare first',
      'prepare',
      'migrate',
      'wave 1',
      'check 1',
      'wave 2',
      'check 2',
    ])
    await expectServes(team, team.fleet, release)
    expect(team.migrations()).toHaveLength(1)
  }, 240_000)

  it('ends with the whole fleet on one release, when its targets died with it in their activation', async () => {
    const before = await served()
    for (const target of team.fleet) tell(team, target, { START_PAUSE: '6' })
    const { record: waitFor, release, wave } = await untilWave(1)
    const [dying = ''] = wave
    const disk = new TargetDisk(team, { instanceId: dying })
    await eventually('the switch', 60, async () => disk.current() === release || undefined)
    await cloud.kill()
    await cloud.startAgain()
    const record = await waitFor('it ends', ({ outcome }) => outcome !== 'running', 120)
    expect(record.outcome).toBe('rolled-back')
    expect(record.reason).toContain(dying)
    await eventually('all serve', 60, () => expectServes(team, team.fleet, before).then(() => true))
  }, 240_000)
})

describe('a worker process of the engine that is killed', () => {
  it('again and again in mid-wave changes nothing', async () => {
    for (const target of team.fleet) tell(team, target, { START_PAUSE: '2' })
    const { published, release } = await untilWave(1)
    let killed = 0
    const isDone = published.then(() => true)
    while (killed < 4 && !(await Promise.race([isDone, delay(700, false)]))) killed += killWorkers()
    expect((await published).exitCode).toBe(DONE)
    expect(killed).toBeGreaterThan(1)
    const record = await team.latest()
    expect(record.outcome).toBe('done')
    await expectServes(team, team.fleet, release)
    expect(team.migrations()).toHaveLength(1)
  }, 240_000)
})

/** Those that run the rollout function, which leave their ids where the next local cloud finds them. */
function killWorkers(): number {
  const folder = `${team.directory}/cloud/processes`
  const workers = readdirSync(folder).filter((pid) =>
    environmentOf(pid).includes('AWS_LAMBDA_FUNCTION_NAME=Pybundle-ControlRollout'),
  )
  for (const pid of workers) process.kill(-Number(pid), 'SIGKILL')
  return workers.length
}

function environmentOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8')
  } catch {
    return ''
  }
}

import { appendFile, cp } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askApp } from '../../local/demo/acceptance.ts'
import { ROOT, type TeamAtWork, teamAtWork } from './team-at-work.ts'

const ROLLED_BACK = 3

let team: TeamAtWork

beforeAll(async () => {
  team = await teamAtWork({ targets: 2 })
}, 60_000)
afterAll(() => team?.close())

const served = () => Promise.all(team.fleet.map(async ({ url }) => (await askApp(url)).release))

describe('a wave in which one target fails', () => {
  it('brings the whole fleet back to the release that it served', async () => {
    expect((await team.pybundle('publish-release', '--environment', 'staging')).exitCode).toBe(0)
    const before = await served()

    for (const revision of ['2', '3']) {
      await cp(join(ROOT, 'examples/guestbook/revisions', revision), team.app, { recursive: true })
    }
    await team.commit('healthy only where somebody can be notified')
    await tellEnvironment(team.fleet[0]?.instanceId ?? '', 'OWNER_ADDRESS=owner@example.com')
    const { exitCode, all } = await team.pybundle('publish-release', '--environment', 'staging')

    expect(exitCode).toBe(ROLLED_BACK)
    expect(all).toContain('1 of 2 failed')
    expect(all).toContain('roll back')
    expect(await served()).toEqual(before)
  }, 120_000)
})

async function tellEnvironment(instanceId: string, line: string): Promise<void> {
  const root = join(team.directory, 'cloud', 'targets', instanceId, 'root')
  await appendFile(join(root, 'opt/pybundle/guestbook/shared/.env'), `${line}\n`)
}

import { readlink, rm, symlink } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askApp } from '../../local/demo/acceptance.ts'
import { type TeamAtWork, teamAtWork } from './team-at-work.ts'

let team: TeamAtWork

beforeAll(async () => {
  team = await teamAtWork({ targets: 2 })
}, 60_000)
afterAll(() => team?.close())

const pybundle = (command: string, ...args: string[]) =>
  team.pybundle(command, '--environment', 'staging', ...args)
const served = async () => Promise.all(team.fleet.map(async ({ url }) => (await askApp(url)).release))

describe('a target on which somebody has switched by hand', () => {
  it('is shown by status --refresh, and mended by repair', async () => {
    expect((await pybundle('publish-release')).exitCode).toBe(0)
    const [first = ''] = await served()
    await team.write('NEWS.md', 'the second release')
    await team.commit('second')
    expect((await pybundle('publish-release')).exitCode).toBe(0)
    const [second = ''] = await served()

    const [victim] = team.fleet
    const root = join(team.directory, 'cloud', 'targets', victim?.instanceId ?? '', 'root')
    const current = join(root, 'opt/pybundle/guestbook/current')
    const link = await readlink(current)
    expect(basename(link)).toBe(second)
    await rm(current)
    await symlink(link.replace(second, first), current)

    const { all, exitCode } = await pybundle('status', '--refresh')
    expect(exitCode).toBe(0)
    expect(all).toMatch(new RegExp(`${victim?.instanceId}\\s+${first}\\s+\\d+ s ago\\s+differs`))
    expect(all).toContain(`1 of 2 differ: pybundle repair brings them to ${second}.`)

    expect((await pybundle('repair')).exitCode).toBe(0)
    expect(await served()).toEqual([second, second])
    expect((await pybundle('status', '--refresh')).all).not.toContain('differ')
  }, 120_000)
})

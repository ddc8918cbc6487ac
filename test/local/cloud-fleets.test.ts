import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { type FleetMember, Fleets } from '../../local/fleets.ts'

const STAGING = { environment: 'staging', app: 'guestbook' }
const PRODUCTION = { environment: 'production', app: 'guestbook' }
const newFile = () => join(mkdtempSync(join(tmpdir(), 'fleets-')), 'fleets.json')

function fleetsIn(file: string) {
  const ended: string[] = []
  const start = async ({ instanceId }: FleetMember) => {
    const end = async () => void ended.push(instanceId)
    return { url: `http://${instanceId}`, stop: end, kill: end }
  }
  return { ended, fleets: new Fleets(file, start) }
}

const idsOf = (targets: readonly FleetMember[]) => targets.map(({ instanceId }) => instanceId).sort()

describe('the fleets of a local cloud', () => {
  test('get targets with ids as EC2 gives them', async () => {
    const { fleets } = fleetsIn(newFile())
    const ids = idsOf(await fleets.start(STAGING, 2))
    expect(ids).toEqual([
      expect.stringMatching(/^i-0[0-9a-f]{16}$/),
      expect.stringMatching(/^i-0[0-9a-f]{16}$/),
    ])
  })

  test('are brought to a size, and never made smaller', async () => {
    const { fleets } = fleetsIn(newFile())
    await fleets.start(STAGING, 3)
    expect(await fleets.start(STAGING, 2)).toHaveLength(3)
    await fleets.add(PRODUCTION)
    expect(fleets.running()).toHaveLength(4)
  })

  test('have the same targets after a restart, but not those whose fleet is gone', async () => {
    const file = newFile()
    const first = fleetsIn(file)
    const ids = idsOf(await first.fleets.start(STAGING, 2))
    await first.fleets.start(PRODUCTION, 1)
    const { fleets } = fleetsIn(file)
    await fleets.resume(({ environment }) => environment === 'staging')
    expect(idsOf(fleets.running())).toEqual(ids)
  })

  test('are stopped, also a target that was still being started', async () => {
    const { fleets, ended } = fleetsIn(newFile())
    const [first] = await fleets.start(STAGING, 1)
    const late = fleets.add(STAGING)
    await fleets.stop()
    expect(ended).toEqual([first?.instanceId, (await late).instanceId])
  })
})

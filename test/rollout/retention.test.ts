import { describe, expect, it } from 'vitest'
import { releaseKey } from '../../lib/release/keys.ts'
import { releaseRecord } from '../../lib/release/release.ts'
import { artifactsOf, RETIRED_TAG } from '../../lib/release/retention.ts'
import { type Machine, openMachine, SCOPE } from './machine.ts'

const few = () => openMachine({ targets: 1, policy: { waves: ['100%'], bakeSeconds: 0, keepReleases: 2 } })
const artifacts = async (machine: Machine, release: string) =>
  artifactsOf(releaseRecord.parse(await machine.store.readJson(releaseKey(SCOPE, release))))
const isRetired = async (machine: Machine, release: string) => {
  const [, code] = await artifacts(machine, release)
  const tags = code && (await machine.store.readTags(code.key, code.versionId))
  return tags?.[RETIRED_TAG] === 'yes'
}
const served = (machine: Machine) => machine.fleet.targets().map(({ current }) => current)
async function rollOut(machine: Machine, ...texts: string[]) {
  const releases: string[] = []
  for (const text of texts) releases.push((await machine.rollOut(text)).release)
  return releases
}
async function rollBack(machine: Machine) {
  const id = await machine.ask({ action: 'rollback' })
  await machine.settle()
  return machine.record(id)
}

describe('at its end a rollout', () => {
  it('retires the code of releases beyond those that are kept, and not the bundle that others share', async () => {
    const machine = await few()
    const [one = '', two = '', three = ''] = await rollOut(machine, '1', '2', '3')
    expect(await Promise.all([one, two, three].map((release) => isRetired(machine, release)))).toEqual([
      true,
      false,
      false,
    ])
    const [bundle] = await artifacts(machine, one)
    expect(await machine.store.readTags(bundle?.key ?? '', bundle?.versionId)).toEqual({})
    expect((await machine.state()).kept).toEqual([three, two])
  })

  it('is done also where nothing can be tagged, and the next one retires what it left', async () => {
    const machine = await few()
    const [one = '', two = ''] = await rollOut(machine, '1', '2')
    const third = await machine.publish('3')
    machine.onS3((method, path) => (method === 'PUT' && path.includes('/code/') ? 'throttled' : undefined))
    await machine.settle()
    machine.onS3(() => undefined)
    expect((await machine.record(third.id)).outcome).toBe('done')
    expect(await isRetired(machine, one)).toBe(false)
    await rollOut(machine, '4')
    expect([await isRetired(machine, one), await isRetired(machine, two)]).toEqual([true, true])
  })

  it('that recovers is ended also where what it brings back has expired', async () => {
    const machine = await openMachine({ targets: 2, policy: { waves: [1, '100%'], bakeSeconds: 90 } })
    const [one = ''] = await rollOut(machine, '1')
    const second = await machine.publish('2')
    await machine.pass(600, () => served(machine).includes(second.release))
    const [, code] = await artifacts(machine, one)
    await machine.expire(code?.key ?? '', code?.versionId)
    await machine.endEngine()
    await machine.settle()
    expect(await machine.record(second.id)).toMatchObject({
      outcome: 'rolled-back',
      reason: 'The engine ended as STOPPED in mid-rollout.',
    })
    expect(served(machine)).toEqual(Array(2).fill(one))
    expect((await machine.rollOut('3')).record.outcome).toBe('done')
    expect((await rollBack(machine)).reason).toContain('has expired since')
  })

  it('leaves what a waiting request asks for', async () => {
    const machine = await few()
    const [one = ''] = await rollOut(machine, '1', '2')
    const [, code] = await artifacts(machine, one)
    const third = await machine.publish('3')
    const { release: _, ...again } = await machine.upload('1')
    await machine.ask({ action: 'deploy', ...again })
    const written: string[] = []
    machine.onS3((method, path) => void (method === 'PUT' && written.push(path)))
    await machine.settle()
    expect((await machine.record(third.id)).outcome).toBe('done')
    expect(served(machine)).toEqual([one])
    expect(written.filter((path) => path.endsWith(code?.key ?? ''))).toEqual([])
  })
})

describe('a rollback to a retired release', () => {
  it('takes it back before a target is told of it', async () => {
    const machine = await few()
    const [one = '', , three = ''] = await rollOut(machine, '1', '2', '3')
    await rollBack(machine)
    expect(await isRetired(machine, one)).toBe(false)
    expect(await rollBack(machine)).toMatchObject({ outcome: 'done', release: one })
    expect(served(machine)).toEqual([one])
    expect(await isRetired(machine, one)).toBe(false)
    expect(await isRetired(machine, three)).toBe(true)
  })

  it('after which only the other half is published takes what the release has still', async () => {
    const machine = await few()
    const [one = ''] = await rollOut(machine, '1')
    const { release: _, ...asked } = await machine.upload('2')
    await machine.expire(asked.bundle.key)
    const id = await machine.ask({ action: 'deploy', ...asked })
    await machine.settle()
    expect(await machine.record(id)).toMatchObject({ outcome: 'done' })
    expect((await artifacts(machine, one))[0]).toEqual(
      (await artifacts(machine, served(machine)[0] ?? ''))[0],
    )
  })

  it('of which something has expired is refused, and says what to do; published again it is whole', async () => {
    const machine = await few()
    const [one = ''] = await rollOut(machine, '1', '2', '3')
    await rollBack(machine)
    const [, code] = await artifacts(machine, one)
    await machine.expire(code?.key ?? '', code?.versionId ?? '')
    const refused = await rollBack(machine)
    expect(refused.outcome).toBe('refused')
    expect(refused.reason).toMatch(
      /^Release \w+ was retired, and ".*" has expired since. .*ublish it again: pybundle publish-release --environment \w+$/,
    )
    const again = await machine.rollOut('1')
    expect(again).toMatchObject({ release: one, record: { outcome: 'done' } })
    expect(served(machine)).toEqual([one])
    const [, moved] = await artifacts(machine, one)
    expect(await machine.store.head(code?.key ?? '', moved?.versionId)).toBeDefined()
  })
})

describe('a request for a retired release', () => {
  it('takes it back where nobody uploaded it again', async () => {
    const machine = await few()
    const { release: one, ...asked } = await machine.upload('1')
    await machine.ask({ action: 'deploy', ...asked })
    await machine.settle()
    await rollOut(machine, '2', '3')
    expect(await isRetired(machine, one)).toBe(true)
    await machine.ask({ action: 'deploy', ...asked })
    await machine.settle()
    expect(served(machine)).toEqual([one])
    expect(await isRetired(machine, one)).toBe(false)
  })
})

import { describe, expect, it, vi } from 'vitest'
import { openMachine, SCOPE } from './machine.ts'

/** What the functions tell while `work` lasts, line by line. */
async function linesOf(work: () => Promise<unknown>): Promise<Record<string, unknown>[]> {
  const lines: Record<string, unknown>[] = []
  const note = (line: string) => void lines.push(JSON.parse(line))
  const spies = [vi.spyOn(console, 'info'), vi.spyOn(console, 'warn'), vi.spyOn(console, 'error')]
  for (const spy of spies) spy.mockImplementation(note)
  // Powertools' own switch for lines that a test can read.
  vi.stubEnv('POWERTOOLS_DEV', 'true')
  vi.stubEnv('POWERTOOLS_LOG_LEVEL', 'INFO')
  await work().finally(() => {
    for (const spy of spies) spy.mockRestore()
    vi.unstubAllEnvs()
  })
  return lines
}

describe('the log of a rollout', () => {
  it('tells each thing once, however often it is replayed, and of which rollout', async () => {
    const machine = await openMachine({ targets: 3, policy: { waves: [1, '100%'], bakeSeconds: 30 } })
    let told = { id: '', release: '' }
    const lines = await linesOf(async () => {
      told = await machine.rollOut('1')
    })
    expect(machine.invocations).toBeGreaterThan(20)
    const keys = { ...SCOPE, rollout: told.id, token: 1, release: told.release, service: 'pybundle' }
    for (const line of lines) expect(line).toMatchObject(keys)
    const messages = lines.map(({ message, phase, status, wave, outcome }) =>
      [message, phase ?? status ?? outcome, wave].filter(Boolean).join(' '),
    )
    expect(messages).toEqual([
      'The rollout has begun.',
      'A phase is over. prepare first',
      'A phase is over. prepare',
      'The rollout has come on. prepared',
      'A phase is over. migrate',
      'The rollout has come on. migrated',
      'A phase is over. wave 1',
      'The rollout has come on. wave-activated 1',
      'A phase is over. check 1',
      'The rollout has come on. wave-baked 1',
      'A phase is over. wave 2',
      'The rollout has come on. wave-activated 2',
      'A phase is over. check 2',
      'The rollout has come on. wave-baked 2',
      'The rollout ends. done',
    ])
  })

  it('says which events were lost', async () => {
    const machine = await openMachine({ targets: 1, policy: { waves: ['100%'], bakeSeconds: 0 } })
    machine.onEvents(() => 'answer lost')
    const lines = await linesOf(() => machine.rollOut('1'))
    const lost = lines.filter(({ level }) => level === 'WARN')
    expect(lost.map(({ message, event }) => [message, (event as { status: string }).status])).toEqual(
      ['begun', 'prepared', 'migrated', 'wave-activated', 'done'].map((status) => [
        'An event was lost.',
        status,
      ]),
    )
  })
})

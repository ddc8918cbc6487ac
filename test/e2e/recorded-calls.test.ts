import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { documentName } from '../../lib/release/names.ts'
import type { ObservedCall } from '../../local/http/service.ts'
import { readAssembly } from '../../local/template/assembly.ts'
import { type Account, type Call, openAccount } from '../stack/account.ts'
import { iamCalls } from '../stack/iam-calls.ts'
import { type TeamAtWork, teamAtWork } from './team-at-work.ts'

const APP = 'guestbook'
const PEOPLE = ['publisher-of-staging', 'publisher-of-production', 'viewer']

let team: TeamAtWork
let account: Account
const calls: ObservedCall[] = []

beforeAll(async () => {
  team = await teamAtWork({ targets: 2, users: PEOPLE, onCall: (call) => calls.push(call) })
  await team.cloud.startFleet({ environment: 'production', app: APP, count: 2 })
  account = openAccount(readAssembly(team.assembly).template)
  const as = async (user: string, ...args: string[]) => {
    const { exitCode, all } = await team.pybundleAs(user, ...args)
    expect(exitCode, `${user}: ${args.join(' ')}\n${all}`).toBe(0)
  }
  const staging = ['--environment', 'staging']
  await as('publisher-of-staging', 'publish-release', ...staging)
  await team.write('NEWS.md', 'news')
  await team.commit('news')
  await as('publisher-of-staging', 'publish-code', ...staging)
  await as('publisher-of-production', 'promote', '--from', 'staging', '--to', 'production')
  await as('publisher-of-staging', 'rollback', ...staging)
  await as('publisher-of-staging', 'repair', ...staging)
  await as('publisher-of-staging', 'freeze', '--reason', 'a fair', ...staging)
  await as('publisher-of-staging', 'unfreeze', ...staging)
  await as('publisher-of-staging', 'status', '--refresh', ...staging)
  await as('viewer', 'status', ...staging)
}, 180_000)
afterAll(() => team?.close())

/** The policies of who called; undefined where AWS's own agent did, whose policy is AWS's. */
function policiesOf({ principal, service, operation, input }: ObservedCall): object[] | undefined {
  const attached = (environment: string, name: 'Publisher' | 'Viewer' | 'Target') =>
    account.attached(environment, APP, name)
  const [kind, name = ''] = principal.split('/')
  if (kind === 'assumed-role') return account.ofRole(name)
  if (kind === 'role') {
    const environment = environmentOf(name)
    const isOfProgram =
      operation === 'GetDocument' && !('Name' in input && input.Name === documentName(environment, APP))
    return service === 's3' || isOfProgram ? attached(environment, 'Target') : undefined
  }
  if (name === 'viewer') return attached('staging', 'Viewer')
  if (name === 'publisher-of-staging') return attached('staging', 'Publisher')
  // Promoting reads where from.
  if (name === 'publisher-of-production')
    return [...attached('production', 'Publisher'), ...attached('staging', 'Viewer')]
  throw new Error(`nobody knows ${principal}`)
}

const targetOf = (id: string) => team.cloud.targets().find(({ instanceId }) => instanceId === id)
const environmentOf = (id: string) => targetOf(id)?.environment ?? ''
const tagsOf = (id: string) => ({ app: APP, environment: environmentOf(id) })

describe('each call that was made', () => {
  it('is one of which is known what IAM is asked', () => {
    const unknown = calls.filter((call) => policiesOf(call) && !iamCalls(account, call, tagsOf))
    expect(unknown.map(({ service, operation }) => `${service}:${operation}`)).toEqual([])
  })

  it('was made by everybody', () => {
    const callers = new Set(
      calls.map(({ principal }) => principal.replace(/\/i-\w+$/, '').replace(/^.*\//, '')),
    )
    expect([...callers].join()).toMatch(/OnUpload/)
    for (const who of [...PEOPLE, 'role']) expect([...callers]).toContain(who)
    expect([...callers].join()).toMatch(/Rollout.*LookAtFleet|LookAtFleet.*Rollout/)
  })

  it('is allowed to who made it', async () => {
    const asked = new Map<string, { call: Call; held: object[] }>()
    for (const observed of calls) {
      const held = policiesOf(observed)
      for (const call of (held && iamCalls(account, observed, tagsOf)) ?? [])
        asked.set(`${observed.principal} ${JSON.stringify(call)}`, { call, held: held ?? [] })
    }
    const refused: string[] = []
    for (const [text, { call, held }] of asked)
      if ((await account.decide(held, call)) !== 'Allowed') refused.push(text)
    console.info(`${calls.length} calls, ${asked.size} different questions to IAM`)
    expect(refused).toEqual([])
  }, 120_000)
})

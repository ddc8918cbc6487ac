import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App, Stack } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { ACTIONS, type Action, commandParameters } from '../../lib/release/command.ts'
import { parseVerdict } from '../../lib/release/verdict.ts'
import { eachPart } from '../../lib/stack/program-documents.ts'
import { TargetDocument } from '../../lib/stack/target-document.ts'
import { runDocument } from '../../local/targets/run-document.ts'
import { resolved } from './resolved.ts'

/** By their names: those of production and staging. */
const documents = synthesizeDocuments()

function synthesizeDocuments(): Map<string, unknown> {
  const stack = new Stack(new App(), 'Stack')
  const programs = eachPart((part) => ({ document: part, sha256: '0'.repeat(64) }))
  for (const fleet of parseFleets(readFileSync('fleets.toml', 'utf8'), 'fleets.toml')) {
    const own = { fleet: { ...fleet, user: 'nobody', restartCommand: 'touch restarted' }, programs }
    new TargetDocument(stack, fleet.environment, { ...own, bucketName: 'bucket', region: 'us-east-1' })
  }
  const found = Object.values(Template.fromStack(stack).findResources('AWS::SSM::Document'))
  return new Map(found.map(({ Properties }) => [Properties.Name, resolved(Properties.Content)]))
}

const RELEASE = '0123456789ab'

let folder: string
let home: string
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pybundle-environment-'))
  home = join(folder, 'root/opt/pybundle/guestbook')
  mkdirSync(join(folder, 'root'))
  mkdirSync(join(home, 'state'), { recursive: true, mode: 0o700 })
  writeFileSync(join(home, 'state/target.json'), JSON.stringify({ environment: 'staging' }))
  // The first command lays out the rest.
  await tell('staging', 'revert')
  mkdirSync(join(home, 'releases', RELEASE))
  symlinkSync(`releases/${RELEASE}`, join(home, 'current'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** The document's own step, as a target runs it; what its program says. */
async function tell(environment: string, action: Action) {
  const digests = { bundle: '1'.repeat(64), code: '2'.repeat(64) }
  const rollout = '20261122t101500z-0123abcd'
  const asked = commandParameters({ action, release: RELEASE, digests, token: 7, rollout })
  const { steps } = await runDocument({
    content: documents.get(`pybundle-${environment}-guestbook`),
    parameters: Object.fromEntries(Object.entries(asked).map(([name, [value]]) => [name, value])),
    folder: join(folder, 'orchestration', action),
    environment: { PATH: process.env.PATH ?? '', PYBUNDLE_ROOT: join(folder, 'root') },
    knowsEnvironmentParameters: true,
    cancelled: new AbortController().signal,
  })
  return { code: steps[0]?.code, verdict: parseVerdict(steps[0]?.standardOutput ?? '') }
}

/** All that there is of the app but what the command writes of itself: its log, and the lock's holder. */
function everything(): string[] {
  const files = readdirSync(join(folder, 'root'), { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => !/\/(log\/.*|state\/(work\.)?lock)$/.test(file))
    .map((file) => {
      const { mtimeMs, ino, mode } = lstatSync(join(folder, 'root', file))
      const isFolder = existsSync(join(folder, 'root', file, '.'))
      return [file, ino, mode, isFolder ? '' : mtimeMs].join(' ')
    })
    .sort()
}

describe('the document of production, sent to a target of staging', () => {
  it.each(ACTIONS.filter((action) => action !== 'status'))(
    'refuses to %s, and does nothing',
    async (action) => {
      const before = everything()
      const { code, verdict } = await tell('production', action)
      expect(verdict).toMatchObject({
        action,
        outcome: 'refused',
        reason: 'this target is of the environment "staging"',
      })
      expect(code).toBe(3)
      expect(everything()).toEqual(before)
    },
  )

  it('tells the status, which changes nothing, and stays a target of staging', async () => {
    const before = everything()
    expect((await tell('production', 'status')).verdict).toMatchObject({ outcome: 'done', current: RELEASE })
    expect(everything()).toEqual(before)
    expect((await tell('staging', 'revert')).verdict).toMatchObject({ outcome: 'done' })
  })
})

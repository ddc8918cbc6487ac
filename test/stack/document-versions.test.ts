import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { App, Stack } from 'aws-cdk-lib'
import { Template } from 'aws-cdk-lib/assertions'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type FleetConfig, parseFleets } from '../../lib/config/fleets.ts'
import { eachPart } from '../../lib/stack/program-documents.ts'
import { TargetDocument } from '../../lib/stack/target-document.ts'
import { Documents } from '../../local/ssm/documents.ts'

const [fleet] = parseFleets(readFileSync('fleets.toml', 'utf8'), 'fleets.toml')

/** What CloudFormation would be given of this fleet's document. */
function documentOf(change: Partial<FleetConfig> = {}, programDigest = '0') {
  if (!fleet) throw new Error('fleets.toml has no fleet')
  const stack = new Stack(new App(), 'Stack')
  const programs = eachPart((part) => ({ document: part, sha256: programDigest.repeat(64) }))
  const props = { fleet: { ...fleet, ...change }, bucketName: 'bucket', region: 'us-east-1', programs }
  new TargetDocument(stack, 'Document', props)
  const [document] = Object.values(Template.fromStack(stack).findResources('AWS::SSM::Document'))
  const { Name: name, VersionName: versionName, Content: content } = document?.Properties ?? {}
  return { name, versionName, content } as { name: string; versionName?: string; content: Described }
}

interface Described {
  description: string
}

const nameOf = (...asked: Parameters<typeof documentOf>) =>
  /content ([0-9a-f]{16})\)$/.exec(documentOf(...asked).content.description)?.[1]

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pybundle-documents-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

it('a document is named by its whole content: the same has the same name, and any other another', () => {
  expect(nameOf()).toMatch(/^[0-9a-f]{16}$/)
  expect(nameOf()).toBe(nameOf())
  const others = [
    nameOf({ healthSeconds: 9 }),
    nameOf({ restartCommand: 'other' }),
    // In the step's time only.
    nameOf({ prepareSeconds: 899 }),
    nameOf({}, '1'),
  ]
  expect(new Set([nameOf(), ...others]).size).toBe(1 + others.length)
})

it('a stack can go back to an earlier content, as CloudFormation does when an update fails', () => {
  const documents = new Documents(folder)
  const contents = [documentOf(), documentOf({ healthSeconds: 9 }), documentOf()]
  for (const document of contents) documents.put(document)
  const { version, content } = documents.find(contents[0]?.name)
  expect(version).toBe('3')
  expect(content.description).toBe(contents[0]?.content.description)
  documents.put(documentOf())
  expect(documents.find(contents[0]?.name).version).toBe('3')
})

import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateRawSync } from 'node:zlib'
import { App } from 'aws-cdk-lib'
import { afterAll, describe, expect, it } from 'vitest'
import { type FleetConfig, parseFleets } from '../../lib/config/fleets.ts'
import { ACTIONS, commandParameters } from '../../lib/release/command.ts'
import { PybundleStack } from '../../lib/stack/pybundle-stack.ts'
import { refuseLargeTemplate } from '../../lib/stack/template-size.ts'
import { readAssembly } from '../../local/template/assembly.ts'
import { readStack } from '../../local/template/local-stack.ts'
import { openAccount } from './account.ts'

/** What AWS takes: of CloudFormation, Lambda, SSM and IAM. */
const TEMPLATE_BYTES = 1_000_000
const RESOURCES = 500
const OUTPUTS = 200
const ZIPPED_BYTES = 50 << 20
const UNZIPPED_BYTES = 250 << 20
const VARIABLES_BYTES = 4096
const DOCUMENT_BYTES = 64 * 1024
const POLICY_CHARACTERS = 6144
const ROLE_POLICIES_CHARACTERS = 10_240
const POLICIES_OF_A_ROLE = 10

/** Ids, names of buckets and Regions can be longer than those of the local cloud. */
const MARGIN = 1.1
const FLEETS = 12

const folder = mkdtempSync(join(tmpdir(), 'pybundle-limits-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** As many fleets, each with the longest names that there may be. */
function synthesize(count: number) {
  const [fleet] = parseFleets(readFileSync('fleets.toml', 'utf8'), 'fleets.toml')
  if (!fleet) throw new Error('fleets.toml has no fleet')
  const outdir = join(folder, String(count))
  const app = new App({ outdir })
  const fleets = Array.from({ length: count }, (_, index): FleetConfig => {
    const name = `a-name-of-20-chars-${String.fromCharCode(97 + index)}`
    return { ...fleet, environment: name, app: name, tags: { app: name, environment: name } }
  })
  new PybundleStack(app, 'Pybundle', { fleets })
  app.synth()
  const assembly = readAssembly(outdir)
  const resources = Object.values(assembly.template.Resources)
  return {
    assembly,
    resources,
    ofType: (type: string) => resources.filter(({ Type }) => Type === type),
    bytes: statSync(join(outdir, 'Pybundle.template.json')).size,
  }
}

const few = synthesize(2)
const many = synthesize(FLEETS)
const account = openAccount(many.assembly.template)

function sizesOf(directory: string) {
  const files = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)))
  const sum = (sizes: number[]) => sizes.reduce((total, size) => total + size, 0)
  return {
    unzipped: sum(files.map(({ length }) => length)),
    zipped: sum(files.map((file) => deflateRawSync(file).length + 256)),
  }
}

describe('the template', () => {
  it('of more fleets than fit is refused, with what to do', () => {
    expect(() => refuseLargeTemplate(join(folder, '2', 'Pybundle.template.json'), 2)).not.toThrow()
    const large = join(folder, 'large.json')
    writeFileSync(large, ' '.repeat(1_000_001))
    expect(() => refuseLargeTemplate(large, 14)).toThrow(
      /these 14 fleets has 1000001 bytes.*second fleets.toml/,
    )
  })

  it(`of ${FLEETS} fleets with the longest names is one that CloudFormation takes`, () => {
    const growth = { bytes: many.bytes - few.bytes, resources: many.resources.length - few.resources.length }
    const perFleet = { bytes: growth.bytes / (FLEETS - 2), resources: growth.resources / (FLEETS - 2) }
    const most = (limit: number, size: number, each: number) => FLEETS + Math.floor((limit - size) / each)
    const byBytes = most(TEMPLATE_BYTES, many.bytes, perFleet.bytes)
    const byResources = most(RESOURCES, many.resources.length, perFleet.resources)
    console.info(
      `${FLEETS} fleets: ${many.bytes} bytes, ${many.resources.length} resources; ` +
        `each: ${perFleet.bytes.toFixed(0)} bytes, ${perFleet.resources.toFixed(1)} resources; ` +
        `${byBytes} fit by bytes, ${byResources} by resources`,
    )
    expect(Math.min(byBytes, byResources)).toBeGreaterThanOrEqual(FLEETS)
    expect(Object.keys(many.assembly.template.Outputs ?? {}).length).toBeLessThanOrEqual(OUTPUTS)
  })

  it('has policies that IAM takes, as many as a role may have', () => {
    const managed = account.ofType<Policy>('AWS::IAM::ManagedPolicy')
    expect(largestOf(managed)).toBeLessThan(POLICY_CHARACTERS)
    expect(largestOf(account.ofType<Policy>('AWS::IAM::Policy'))).toBeLessThan(ROLE_POLICIES_CHARACTERS)
    const counts = Map.groupBy(
      managed.flatMap(({ properties }) => properties.Roles ?? []),
      (role) => role,
    )
    // Beside those that AWS manages.
    for (const [, { length }] of counts) expect(length + 2).toBeLessThanOrEqual(POLICIES_OF_A_ROLE)
  })
})

interface Policy {
  PolicyDocument: object
  Roles?: string[]
}

/** As IAM counts: without white space. */
function largestOf(policies: { properties: Policy }[]): number {
  const sizes = policies.map(({ properties }) => JSON.stringify(properties.PolicyDocument).length)
  return Math.max(...sizes) * MARGIN
}

interface Function {
  Code: { S3Key?: string }
  Environment?: { Variables: object }
}

describe('each function', () => {
  const functions = account.ofType<Function>('AWS::Lambda::Function').map(({ properties }) => properties)

  it('fits into Lambda with its asset', () => {
    const assets = functions.flatMap(({ Code }) => many.assembly.assetDirectory(Code.S3Key ?? '') ?? [])
    expect(assets.length).toBeGreaterThanOrEqual(3)
    for (const { zipped, unzipped } of assets.map(sizesOf)) {
      expect(zipped).toBeLessThan(ZIPPED_BYTES)
      expect(unzipped).toBeLessThan(UNZIPPED_BYTES)
    }
  })

  it('fits into Lambda with its variables', () => {
    for (const { Environment } of functions)
      expect(JSON.stringify(Environment ?? {}).length * MARGIN).toBeLessThan(VARIABLES_BYTES)
  })
})

describe('each document', () => {
  it('is below 64 KB with its parameters at their longest', () => {
    const longest = commandParameters({
      action: ACTIONS.toSorted((one, other) => other.length - one.length)[0] ?? 'status',
      release: '0'.repeat(12),
      digests: { bundle: '0'.repeat(64), code: '0'.repeat(64) },
      token: 999_999_999_999,
      rollout: '20261122t101500z-0123abcd',
    })
    const { documents } = readStack(many.assembly, { region: 'us-east-1', account: '123456789012' })
    const sizes = documents.map(({ name, content }) => ({
      name,
      bytes: Buffer.byteLength(JSON.stringify(content)) + Buffer.byteLength(JSON.stringify(longest)),
    }))
    const [largest] = sizes.toSorted((one, other) => other.bytes - one.bytes)
    console.info(`the largest document, ${largest?.name}, has ${largest?.bytes} bytes with its parameters`)
    // 1 KB more for what an operator may say at greater length, and for AWS's own names.
    expect(largest?.bytes).toBeLessThan(DOCUMENT_BYTES - 1024)
  })
})

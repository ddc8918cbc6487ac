import { Template } from 'aws-cdk-lib/assertions'
import { expect, it } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { PybundleStack } from '../../lib/stack/pybundle-stack.ts'
import { templateApp } from './template-app.ts'

const FLEET = 'user = "shop", units = ["shop.service"], health_url = "http://[::1]", signers = "off"'
const fleets = parseFleets(
  [
    `environments.staging.shop = { tags = { app = "shop", stage = "staging" }, retention_days = 3, ${FLEET} }`,
    `environments.production.shop = { tags = { app = "shop", stage = "production" }, ${FLEET} }`,
  ].join('\n'),
  'fleets.toml',
)
const [bucket] = Object.values(
  Template.fromStack(new PybundleStack(templateApp(), 'Pybundle', { fleets })).findResources(
    'AWS::S3::Bucket',
  ),
)
const rules = bucket?.Properties.LifecycleConfiguration.Rules as Record<string, unknown>[]

it('objects expire by the tag of what is retired, below bundles and code, and by nothing else', () => {
  const [unfinished, ...others] = rules
  expect(unfinished).toEqual({
    Status: 'Enabled',
    AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 },
    // Of markers only, once no version is left below them.
    ExpiredObjectDeleteMarker: true,
  })
  expect(others).toEqual(
    [
      ['staging/shop/bundles/', 3],
      ['staging/shop/code/', 3],
      ['production/shop/bundles/', 30],
      ['production/shop/code/', 30],
    ].map(([Prefix, NoncurrentDays]) => ({
      Status: 'Enabled',
      Prefix,
      TagFilters: [{ Key: 'pybundle-retired', Value: 'yes' }],
      ExpirationInDays: 1,
      NoncurrentVersionExpiration: { NoncurrentDays },
    })),
  )
})

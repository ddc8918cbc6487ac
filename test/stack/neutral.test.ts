import { Annotations, Match, Template } from 'aws-cdk-lib/assertions'
import { describe, expect, it } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { PybundleStack, type PybundleStackProps } from '../../lib/stack/pybundle-stack.ts'
import { templateApp } from './template-app.ts'

const FLEET =
  'tags = { app = "shop" }, user = "shop", units = ["shop"], health_url = "http://[::1]", signers = "off"'
const fleets = parseFleets(`environments.staging.shop = { ${FLEET} }`, 'fleets.toml')
const build = (props: Omit<PybundleStackProps, 'fleets'> = {}) => {
  const app = templateApp()
  return { app, stack: new PybundleStack(app, 'Pybundle', { fleets, ...props }) }
}
const warnings = (props?: Omit<PybundleStackProps, 'fleets'>) =>
  Annotations.fromStack(build(props).stack).findWarning('*', Match.stringLikeRegexp('durable functions'))
    .length

describe('a region without durable functions', () => {
  it.each<[string, Omit<PybundleStackProps, 'fleets'>, number]>([
    ['of nobody knows which', {}, 0],
    ['that has them', { env: { region: 'eu-west-1' } }, 0],
    ['of which that is not known', { env: { region: 'eu-central-1' } }, 1],
    ['that whoever deploys is set to', { deployedTo: 'ap-northeast-1' }, 1],
    [
      'that the stack is bound to, whatever else',
      { env: { region: 'us-east-1' }, deployedTo: 'sa-east-1' },
      0,
    ],
  ])('is warned of: %s', (_what, props, expected) => {
    expect(warnings(props)).toBe(expected)
  })
})

describe('the template', () => {
  const { app, stack } = build()
  const text = JSON.stringify(Template.fromStack(stack).toJSON())

  it('is of no partition, no region and no account', () => {
    expect(text).toContain('AWS::Partition')
    expect(text).not.toMatch(/arn:aws[-\w]*:/)
    expect(text).not.toMatch(/\b\d{12}\b/)
    expect(text).not.toMatch(/\b(us|eu|ap|sa|ca|me|af|cn)(-gov)?-(north|south|east|west|central)+-\d\b/)
  })

  it('needs nothing to be looked up in an account', () => {
    expect(app.synth().manifest.missing ?? []).toEqual([])
  })

  it('is of its own partition where it is bound to one', () => {
    const china = build({ env: { region: 'cn-north-1', account: '123456789012' } }).stack
    expect(JSON.stringify(Template.fromStack(china).toJSON())).not.toContain('arn:aws:')
  })
})

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ALERT_KEYS } from '../../lib/config/alerts.ts'
import { FLEET_KEYS, type FleetConfig, parseFleets, parseOperatorConfig } from '../../lib/config/fleets.ts'
import { mistakesOf } from './mistakes-of.ts'

const KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHXrz5FeGC/K0/Bk4rhVwNDWT3oCNlTtPkW2UxlMQqkY'

const GOOD: Record<string, string> = {
  tags: '{ app = "shop" }',
  user: '"shop"',
  units: '["shop.service"]',
  health_url: '"http://127.0.0.1:8000"',
  signers: '"off"',
}

function fleetToml(changes: Record<string, string> = {}): string {
  const keys = Object.entries({ ...GOOD, ...changes }).filter(([, value]) => value !== '')
  return ['[environments.staging.shop]', ...keys.map(([key, value]) => `${key} = ${value}`)].join('\n')
}

const NO_TAG =
  'is no tag that AWS selects and permits by: 124 characters for its key and 256 for its value, letters of Latin-1, digits, spaces and _ . : / = + - @'

const parse = (toml: string) => parseFleets(toml, 'fleets.toml')
const mistakes = (toml: string) => mistakesOf(() => parse(toml)).slice(1)

describe("the operator's configuration", () => {
  it('has a default for everything that is not about the fleet itself', () => {
    const defaults: Partial<FleetConfig> = {
      base: '/opt/pybundle',
      healthSeconds: 30,
      healthPasses: 2,
      waves: [1, '100%'],
      maxConcurrency: '50%',
      maxPrepareFailures: 0,
      maxActivateFailures: 0,
      onFailure: 'revert',
      keepReleases: 5,
    }
    expect(parse(fleetToml())).toMatchObject([{ environment: 'staging', app: 'shop', ...defaults }])
  })

  it.each([
    ['user', '"root"', 'user: must not be root: the app and its hooks never run as root'],
    ['user', '', "user: is missing; must be the app's user on a target"],
    ['tags', '{}', 'tags: is empty: every instance of the account would be a target'],
    [
      'tags',
      '{ a = "1", b = "2", c = "3", d = "4", e = "5", f = "6" }',
      'tags: are 6: State Manager selects by at most 5',
    ],
    ['tags', '{ "team name" = "shop", "app*" = "shop" }', `tags."app*": ${NO_TAG}`],
    ['tags', '{ "環境" = "x" }', `tags."環境": ${NO_TAG}`],
    ['tags', '{ "" = "x" }', `tags."": ${NO_TAG}`],
    ['tags', `{ ${'k'.repeat(125)} = "x" }`, `tags.${'k'.repeat(125)}: ${NO_TAG}`],
    [
      'alarms',
      '["arn:aws:cloudwatch:eu-west-1:123456789012:alarm:a"]',
      'alarms[0]: is the ARN of an alarm: its name is wanted, of one in this account and region',
    ],
    ['units', '', 'units: is missing; name the units to restart, or a "restart_command"'],
    ['units', '["--no-block"]', 'units[0]: is not a unit'],
    ['restart_command', '"x"', 'restart_command: stands beside "units": say one of them'],
    ['waves', '[]', 'waves: is empty; the shortest is ["100%"]'],
    ['waves', '[1, 5]', 'waves[1]: must be "100%": the last wave reaches all'],
    ['waves', '[3, 2, "100%"]', 'waves[1]: must be larger than the wave before it'],
    ['waves', '["50%", "50%", "100%"]', 'waves[1]: must be larger than the wave before it'],
    ['waves', '[0, "100%"]', 'waves[0]: must be a count of targets (2) or a percentage ("50%"), not 0'],
    ['wave', '[1]', 'wave: unknown key; did you mean "waves"?'],
    ['base', '"opt"', 'base: must be an absolute path of letters, digits and . _ @ + - /'],
    ['health_url', '"ftp://x"', 'health_url: must begin with http:// or https://'],
    [
      'health_url',
      `"http://$\{X}"`,
      'health_url: has a variable, but there is no "env_file" to read it from',
    ],
    [
      'health_seconds',
      '120',
      'health_seconds: must be less than activate_seconds (120): a target needs time to switch back, too',
    ],
    [
      'max_prepare_failures',
      '-1',
      'max_prepare_failures: must be a count of targets (2) or a percentage ("10%"), not -1',
    ],
    [
      'max_activate_failures',
      '"101%"',
      'max_activate_failures: must be a count of targets (2) or a percentage ("10%"), not "101%"',
    ],
    [
      'waves',
      `[${Array.from({ length: 30 }, (_, index) => index + 1)}, "100%"]`,
      'waves: are 31: with bake_seconds = 0 and these time limits a rollout of more than 24 could need more than the 3,000 operations of a durable execution',
    ],
    [
      'signers',
      '',
      'signers: is missing; must be a list of SSH public keys, whose owners sign what is deployed, or "off": whoever may upload deploys',
    ],
    [
      'signers',
      '[]',
      'signers: must be a list of SSH public keys, whose owners sign what is deployed, or "off": whoever may upload deploys',
    ],
    [
      'signers',
      '"no"',
      'signers: must be a list of SSH public keys, whose owners sign what is deployed, or "off": whoever may upload deploys',
    ],
    [
      'signers',
      `["${KEY} ada@example.com", "command=\\"x\\" ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHXrz5"]`,
      'signers[1]: is no public key as it stands in a .pub file ("ssh-ed25519 AAAA... ada@example.com"): "command=\\"x\\" ssh-ed25519 AAAAC3NzaC1lZDI1..."',
    ],
    [
      'signers',
      '["ssh-ed25519 AAAAC3Nza ada@example.com\\nssh-ed25519 AAAAC3Nzb eve@example.com"]',
      'signers[0]: is no public key as it stands in a .pub file ("ssh-ed25519 AAAA... ada@example.com"): "ssh-ed25519 AAAAC3Nza ada@example.com\\nss..."',
    ],
    [
      'signers',
      `[${Array(51).fill(`"${KEY}"`)}]`,
      "signers: are 4080 characters, of which a target's document takes 4000: keys of ed25519 are the shortest",
    ],
    [
      'publishers',
      '{ roles = ["arn:aws:iam::123456789012:role/ci"] }',
      'publishers.roles[0]: is not the name of an IAM role of this account, as in its ARN after the last "/"',
    ],
    ['viewers', '{ role = ["ci"] }', 'viewers.role: unknown key; did you mean "roles"?'],
    ['tags', `{ app = "${'x'.repeat(257)}" }`, `tags.app: ${NO_TAG}`],
    ['user', '"shop; id"', 'user: is not the name of a user'],
    ['units', '["a.service; id"]', 'units[0]: is not a unit'],
    ['alarms', `["${'x'.repeat(256)}"]`, 'alarms[0]: is longer than 255 characters'],
    ['retention_days', '0', 'retention_days: must be days: a whole number, 1 to 3650, not 0'],
    [
      'publishers',
      '{ roles = ["team/ci"] }',
      'publishers.roles[0]: is not the name of an IAM role of this account, as in its ARN after the last "/"',
    ],
    ['on_failure', '"wait"', 'on_failure: must be "revert" or "stop"'],
    ['alarms', '[""]', 'alarms[0]: must be the name of a CloudWatch alarm, not ""'],
    ['alarms', '"errors"', 'alarms: must be a list of alarms, not "errors"'],
    ['bake_seconds', '"5"', 'bake_seconds: must be seconds: a whole number, 0 to 86400, not "5"'],
  ])('refuses %s = %s', (key, value, mistake) => {
    expect(mistakes(fleetToml({ [key]: value }))).toEqual([`environments.staging.shop.${mistake}`])
  })

  it('reports every mistake of the file at once', () => {
    const toml = `${fleetToml({ user: '"root"', health_passes: '0' })}\n[environments.Prod.shop]\n[other]`
    expect(mistakes(toml)).toEqual([
      'other: unknown key; known keys: stack, environments, alerts',
      expect.stringMatching(/^environments\.staging\.shop\.health_passes: must be good answers/),
      expect.stringMatching(/^environments\.staging\.shop\.user: must not be root/),
      expect.stringMatching(/^environments\.Prod\.shop: "Prod" is not a name/),
      expect.stringMatching(/^environments\.Prod\.shop\.tags: is missing/),
      expect.stringMatching(/^environments\.Prod\.shop\.user: is missing/),
      expect.stringMatching(/^environments\.Prod\.shop\.health_url: is missing/),
      expect.stringMatching(/^environments\.Prod\.shop\.signers: is missing/),
      expect.stringMatching(/^environments\.Prod\.shop\.units: is missing/),
    ])
  })

  it.each(['requests', 'releases', 'rollouts', 'reports'])('refuses an app that is called %s', (app) => {
    expect(mistakes(fleetToml().replace('staging.shop', `staging.${app}`))).toEqual([
      `environments.staging.${app}: "${app}" is a folder of the bucket's own: call the app otherwise`,
    ])
  })

  it('refuses environments of an app that share targets, and takes apps that do', () => {
    const fleetOf = (name: string, tags: string) =>
      `${fleetToml({ tags: `{ ${tags} }` }).replace('staging.shop', name)}\n`
    const staging = fleetOf('staging.shop', 'app = "shop"')
    expect(mistakes(staging + fleetOf('production.shop', 'app = "shop", stage = "production"'))).toEqual([
      'environments.staging.shop.tags: select the targets of production, too: add a tag that only those of staging have',
    ])
    expect(parse(staging + fleetOf('production.shop', 'app = "other"'))).toHaveLength(2)
    expect(parse(staging + fleetOf('staging.blog', 'app = "shop"'))).toHaveLength(2)
  })

  it('refuses two fleets whose names joined are the same', () => {
    const fleetOf = (name: string) => `${fleetToml().replace('staging.shop', name)}\n`
    const [joined, same] = [fleetOf('prod-eu.shop'), fleetOf('prod.eu-shop')]
    expect(mistakes(joined + same)).toEqual([
      'environments.prod.eu-shop: has the same document, pybundle-prod-eu-shop, as environments.prod-eu.shop: call one of them otherwise',
    ])
  })

  it('refuses nobody as the user of an app whose releases are signed', () => {
    const keys = { user: '"nobody"', signers: `["${KEY} ada@example.com"]` }
    expect(mistakes(fleetToml(keys))).toEqual([
      'environments.staging.shop.user: must not be nobody: signatures are verified as that user, whom the app may not be',
    ])
    expect(parse(fleetToml({ user: '"nobody"' }))).toHaveLength(1)
  })

  it('names the line of what is not TOML', () => {
    expect(mistakesOf(() => parse('[environments.a.b]\nuser = = 1'))[0]).toBe(
      'fleets.toml:2:8: invalid value',
    )
  })

  it('names the stack, of which an account may have several', () => {
    expect(parseOperatorConfig(fleetToml(), 'fleets.toml').stack).toBe('Pybundle')
    expect(parseOperatorConfig(`stack = "Deploys-2"\n${fleetToml()}`, 'fleets.toml').stack).toBe('Deploys-2')
    expect(mistakes(`stack = "2nd"\n${fleetToml()}`)).toEqual([
      'stack: must be a letter, then up to 39 letters, digits and "-"',
    ])
  })

  it('has a topic for alerts, where there is one', () => {
    const topicArn = 'arn:aws:sns:eu-west-1:123456789012:alerts'
    const config = parseOperatorConfig(`${fleetToml()}\n[alerts]\ntopic_arn = "${topicArn}"`, 'fleets.toml')
    expect(config.alerts).toEqual({ topicArn })
    expect(parseOperatorConfig(fleetToml(), 'fleets.toml').alerts).toBeUndefined()
    expect(mistakes(`${fleetToml()}\n[alerts]\ntopic_arn = "ops@example.com"\ntopic = "x"`)).toEqual([
      'alerts.topic_arn: is not the ARN of an SNS topic (and no FIFO one)',
      'alerts.topic: unknown key; did you mean "topic_arn"?',
    ])
  })

  it('refuses an environment without an app', () => {
    expect(mistakes('[environments.staging]\nuser = "shop"')).toEqual([
      'environments.staging: must hold a table for each app: [environments.staging.APP]',
    ])
  })
})

describe('the reference of fleets.toml', () => {
  const file = new URL('../../docs/reference/fleets.toml', import.meta.url)

  it('is valid, and shows the defaults that it says it shows', () => {
    const [shown] = parseFleets(readFileSync(file, 'utf8'), 'fleets.toml')
    const [defaults] = parse(fleetToml())
    const { environment, tags, units, envFile, healthUrl, signers, ...rest } = shown ?? ({} as FleetConfig)
    expect(defaults).toMatchObject({ ...rest })
  })

  it('tells of every key', () => {
    const text = readFileSync(file, 'utf8')
    expect(
      [...FLEET_KEYS, ...ALERT_KEYS].filter((key) => !new RegExp(`^(# )?${key} = `, 'm').test(text)),
    ).toEqual([])
  })
})

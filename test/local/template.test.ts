import { describe, expect, test } from 'vitest'
import type { Assembly, Resource } from '../../local/template/assembly.ts'
import { readAssembly } from '../../local/template/assembly.ts'
import { fleetSettings } from '../../local/template/fleet-settings.ts'
import { resolve } from '../../local/template/intrinsics.ts'
import { readStack } from '../../local/template/local-stack.ts'

const scope = {
  pseudo: { 'AWS::Region': 'us-east-1', 'AWS::Partition': 'aws' },
  resources: new Map([['Bucket', { ref: 'my-bucket', attributes: { Arn: 'arn:aws:s3:::my-bucket' } }]]),
}

describe('an intrinsic function', () => {
  test.each<[unknown, unknown]>([
    [{ Ref: 'Bucket' }, 'my-bucket'],
    [{ Ref: 'AWS::Region' }, 'us-east-1'],
    [{ 'Fn::GetAtt': ['Bucket', 'Arn'] }, 'arn:aws:s3:::my-bucket'],
    [{ 'Fn::GetAtt': 'Bucket.Arn' }, 'arn:aws:s3:::my-bucket'],
    [{ 'Fn::Join': ['', [{ 'Fn::GetAtt': ['Bucket', 'Arn'] }, '/*']] }, 'arn:aws:s3:::my-bucket/*'],
    [
      { 'Fn::Sub': `$\{AWS::Partition}:$\{Bucket}:$\{Bucket.Arn}:$\{!kept}` },
      `aws:my-bucket:arn:aws:s3:::my-bucket:$\{kept}`,
    ],
    [{ 'Fn::Sub': [`$\{own}`, { own: { Ref: 'Bucket' } }] }, 'my-bucket'],
    [{ 'Fn::Select': ['1', { 'Fn::Split': ['-', { Ref: 'Bucket' }] }] }, 'bucket'],
    [{ a: [{ Ref: 'Bucket' }], b: { Ref: 'AWS::NoValue' } }, { a: ['my-bucket'] }],
  ])('%j becomes %j', (value, expected) => {
    expect(resolve(value, scope)).toEqual(expected)
  })

  test('that is not known is an error that names it', () => {
    expect(() => resolve({ 'Fn::ImportValue': 'x' }, scope)).toThrow('does not know Fn::ImportValue')
    expect(() => resolve({ Ref: 'Nobody' }, scope)).toThrow('Ref to "Nobody"')
  })
})

function assembly(resources: Record<string, Resource>): Assembly {
  return {
    stackName: 'Test',
    template: { Resources: resources, Outputs: { BucketName: { Value: { Ref: 'Bucket' } } } },
    assetDirectory: (key) => (key === 'abc.zip' ? '/assembly/asset.abc' : undefined),
  }
}

const place = { region: 'us-east-1', account: '123456789012' }
const ROLE = { Type: 'AWS::IAM::Role' }
const BUCKET = {
  Type: 'AWS::S3::Bucket',
  Properties: { VersioningConfiguration: { Status: 'Enabled' } },
}
const FUNCTION = {
  Type: 'AWS::Lambda::Function',
  Properties: {
    Code: { S3Key: 'abc.zip' },
    Handler: 'index.handler',
    Runtime: 'nodejs24.x',
    Role: { 'Fn::GetAtt': ['Role', 'Arn'] },
    Environment: { Variables: { BUCKET: { Ref: 'Bucket' } } },
    DurableConfig: { ExecutionTimeout: 60 },
  },
}

describe('a template', () => {
  test('gives buckets, functions and aliases with their local names', () => {
    const stack = readStack(
      assembly({
        Bucket: BUCKET,
        Role: ROLE,
        Function: FUNCTION,
        Version: { Type: 'AWS::Lambda::Version' },
        Live: {
          Type: 'AWS::Lambda::Alias',
          Properties: {
            FunctionName: { Ref: 'Function' },
            FunctionVersion: { 'Fn::GetAtt': ['Version', 'Version'] },
            Name: 'live',
          },
        },
      }),
      place,
    )
    expect(stack.buckets).toEqual([{ name: 'test-bucket', isVersioned: true, lifecycle: [] }])
    expect(stack.functions).toEqual([
      {
        name: 'Test-Function',
        handler: 'index.handler',
        directory: '/assembly/asset.abc',
        codeHash: 'abc',
        environment: { BUCKET: 'test-bucket' },
        timeoutSeconds: 3,
        memoryMb: 128,
        role: 'Test-Role',
        durable: { executionTimeoutSeconds: 60, retentionDays: 14 },
      },
    ])
    expect(stack.aliases).toEqual([{ functionName: 'Test-Function', name: 'live' }])
    expect(stack.outputs).toEqual({ BucketName: 'test-bucket' })
  })

  test('gives the notifications of CDK and leaves out the function behind them', () => {
    const stack = readStack(
      assembly({
        Bucket: BUCKET,
        Role: ROLE,
        Function: FUNCTION,
        Handler: { Type: 'AWS::Lambda::Function', Properties: { Code: { ZipFile: 'import boto3' } } },
        Notifications: {
          Type: 'Custom::S3BucketNotifications',
          Properties: {
            ServiceToken: { 'Fn::GetAtt': ['Handler', 'Arn'] },
            BucketName: { Ref: 'Bucket' },
            NotificationConfiguration: {
              LambdaFunctionConfigurations: [
                {
                  Events: ['s3:ObjectCreated:*'],
                  Filter: { Key: { FilterRules: [{ Name: 'suffix', Value: '.request' }] } },
                  LambdaFunctionArn: { 'Fn::GetAtt': ['Function', 'Arn'] },
                },
              ],
            },
          },
        },
      }),
      place,
    )
    expect(stack.functions).toHaveLength(1)
    expect(stack.notifications).toEqual([
      {
        bucket: 'test-bucket',
        events: ['s3:ObjectCreated:*'],
        prefix: '',
        suffix: '.request',
        functionArn: 'arn:aws:lambda:us-east-1:123456789012:function:Test-Function',
      },
    ])
  })

  test('with a type that the local cloud does not have is an error that names it', () => {
    const queue = assembly({ Bucket: BUCKET, Topic: { Type: 'AWS::SNS::Topic' } })
    expect(() => readStack(queue, place)).toThrow('"Topic" of type AWS::SNS::Topic')
  })

  test('with a function whose code is not there is an error that names it', () => {
    const codeless = { ...FUNCTION, Properties: { ...FUNCTION.Properties, Code: { S3Key: 'gone.zip' } } }
    expect(() => readStack(assembly({ Bucket: BUCKET, Role: ROLE, Function: codeless }), place)).toThrow(
      'cannot read "Function" (AWS::Lambda::Function) of the template: its code "gone.zip"',
    )
  })

  test('that was not synthesized yet is an error that says how to', () => {
    expect(() => readAssembly('/nowhere/cdk.out')).toThrow('Run: npm run synth')
  })
})

describe('a fleet', () => {
  const config = `{"base":"/opt/pybundle","env_file":"/etc/it'\\''s.env"}`
  const stack = readStack(
    assembly({
      Bucket: BUCKET,
      Document: {
        Type: 'AWS::SSM::Document',
        Properties: {
          Name: 'pybundle-staging-guestbook',
          Content: {
            mainSteps: [{ inputs: { runCommand: ['true', `export PYBUNDLE_CONFIG='${config}'`] } }],
          },
        },
      },
      CatchUp: {
        Type: 'AWS::SSM::Association',
        Properties: {
          Name: { Ref: 'Document' },
          Targets: [{ Key: 'tag:app', Values: ['guestbook'] }],
        },
      },
    }),
    place,
  )

  test('is read from the association and the literals of the document', () => {
    expect(fleetSettings(stack, 'staging', 'guestbook')).toEqual({
      tags: { app: 'guestbook' },
      base: '/opt/pybundle',
      envFile: "/etc/it's.env",
    })
  })

  test('that is not in the template is an error that names those that are', () => {
    expect(() => fleetSettings(stack, 'production', 'guestbook')).toThrow(
      'no fleet of "guestbook" in "production" (its documents: pybundle-staging-guestbook)',
    )
  })
})

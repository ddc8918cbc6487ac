import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib'
import { Rule, Schedule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import { Alias, Architecture, type CfnFunction, Runtime } from 'aws-cdk-lib/aws-lambda'
import { NodejsFunction, type NodejsFunctionProps } from 'aws-cdk-lib/aws-lambda-nodejs'
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs'
import type { Bucket } from 'aws-cdk-lib/aws-s3'
import { EventType } from 'aws-cdk-lib/aws-s3'
import { LambdaDestination } from 'aws-cdk-lib/aws-s3-notifications'
import { Construct } from 'constructs'
import type { FleetConfig } from '../config/fleets.ts'
import type { FleetPolicy } from '../release/fleet.ts'
import { WATCHED_SUFFIXES } from '../release/keys.ts'
import { documentName } from '../release/names.ts'
import { executionSeconds } from '../release/operations.ts'
import { acknowledgeBucketPaths, type BucketPaths, bucketStatements } from './bucket-access.ts'

export interface ControlFunctionsProps {
  bucket: Bucket
  fleets: readonly FleetConfig[]
}

const ALIAS = 'live'
const LOOK_AGAIN_EVERY = Duration.minutes(5)

/** `on-upload` and the durable `rollout`: each with what it may do and the names that it needs. */
export class ControlFunctions extends Construct {
  readonly onUpload: NodejsFunction
  readonly rollout: NodejsFunction
  readonly rolloutAlias: Alias

  constructor(scope: Construct, id: string, { bucket, fleets }: ControlFunctionsProps) {
    super(scope, id)
    this.rollout = this.function('Rollout', 'rollout', fleets, {
      timeout: Duration.minutes(5),
      durableConfig: {
        executionTimeout: Duration.seconds(Math.max(...fleets.map(executionSeconds))),
        retentionPeriod: Duration.days(14),
      },
      // A running rollout ends on the version that it began with.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
    })
    this.rolloutAlias = new Alias(this, 'RolloutLive', {
      aliasName: ALIAS,
      version: this.rollout.currentVersion,
    })
    this.onUpload = this.function('OnUpload', 'on-upload', fleets, { timeout: Duration.minutes(2) })

    this.letBothUse(bucket, fleets)
    this.letOnUploadStart()
    this.letRolloutCommand(fleets)
    this.lookAgainWhen(bucket)
    this.acknowledge()
  }

  private function(
    id: string,
    entry: string,
    fleets: readonly FleetConfig[],
    props: NodejsFunctionProps,
  ): NodejsFunction {
    return new NodejsFunction(this, id, {
      entry: new URL(`../../lambda/${entry}.ts`, import.meta.url).pathname,
      depsLockFilePath: new URL('../../package-lock.json', import.meta.url).pathname,
      runtime: Runtime.NODEJS_24_X,
      architecture: Architecture.ARM_64,
      memorySize: 512,
      logGroup: new LogGroup(this, `${id}Log`, { retention: RetentionDays.THREE_MONTHS }),
      bundling: {
        minify: true,
        mainFields: ['module', 'main'],
        externalModules: [],
        define: { 'process.env.PYBUNDLE_FLEETS': JSON.stringify(JSON.stringify(fleets.map(policyOf))) },
      },
      ...props,
    })
  }

  private letBothUse(bucket: Bucket, fleets: readonly FleetConfig[]): void {
    const uses: [NodejsFunction, BucketPaths][] = [
      [this.onUpload, { read: ['*'], write: ['requests/*', 'releases/*', 'rollouts/*', 'state.json'] }],
      [
        this.rollout,
        {
          read: ['rollouts/*', 'releases/*', 'state.json'],
          write: ['rollouts/*', 'releases/*', 'state.json'],
        },
      ],
    ]
    for (const [lambda, paths] of uses) {
      lambda.addEnvironment('BUCKET', bucket.bucketName)
      for (const statement of bucketStatements(bucket, fleets, paths)) lambda.addToRolePolicy(statement)
      acknowledgeBucketPaths(lambda, bucket, fleets, paths)
    }
  }

  private letOnUploadStart(): void {
    this.onUpload.addEnvironment('ROLLOUT_FUNCTION', this.rollout.functionName)
    this.onUpload.addEnvironment('ROLLOUT_ALIAS', ALIAS)
    this.rolloutAlias.grantInvoke(this.onUpload)
    this.onUpload.addToRolePolicy(
      new PolicyStatement({
        actions: ['lambda:ListDurableExecutionsByFunction'],
        resources: [this.rollout.functionArn, `${this.rollout.functionArn}:*`],
      }),
    )
  }

  private letRolloutCommand(fleets: readonly FleetConfig[]): void {
    const { partition, region, account } = Stack.of(this)
    for (const { environment, app, tags } of fleets) {
      const document = `arn:${partition}:ssm:${region}:${account}:document/${documentName(environment, app)}`
      this.rollout.addToRolePolicy(
        new PolicyStatement({ actions: ['ssm:SendCommand', 'ssm:DescribeDocument'], resources: [document] }),
      )
      this.rollout.addToRolePolicy(
        new PolicyStatement({
          actions: ['ssm:SendCommand'],
          resources: [`arn:${partition}:ec2:${region}:${account}:instance/*`],
          conditions: {
            StringEquals: Object.fromEntries(
              Object.entries(tags).map(([key, value]) => [`ssm:resourceTag/${key}`, value]),
            ),
          },
        }),
      )
    }
    this.rollout.addToRolePolicy(
      new PolicyStatement({
        // IAM knows no resource for these four.
        actions: [
          'ssm:ListCommands',
          'ssm:ListCommandInvocations',
          'ssm:DescribeInstanceInformation',
          'ssm:DescribeInstanceProperties',
        ],
        resources: ['*'],
      }),
    )
  }

  /** Uploads say that there is something to do; ended executions and the clock catch what an event missed. */
  private lookAgainWhen(bucket: Bucket): void {
    for (const suffix of WATCHED_SUFFIXES) {
      bucket.addEventNotification(EventType.OBJECT_CREATED, new LambdaDestination(this.onUpload), { suffix })
    }
    new Rule(this, 'RolloutEnded', {
      eventPattern: {
        source: ['aws.lambda'],
        detailType: ['Durable Execution Status Change'],
        detail: {
          status: ['SUCCEEDED', 'FAILED', 'TIMED_OUT', 'STOPPED'],
          functionArn: [{ prefix: this.rollout.functionArn }],
        },
      },
      targets: [new LambdaFunction(this.onUpload)],
    })
    new Rule(this, 'LookAgain', {
      schedule: Schedule.rate(LOOK_AGAIN_EVERY),
      targets: [new LambdaFunction(this.onUpload)],
    })
  }

  private acknowledge(): void {
    const { logicalId } = this.rollout.node.defaultChild as CfnFunction
    const because = (holder: Construct, id: string, reason: string) =>
      Validations.of(holder).acknowledge({ id: `AwsSolutions-${id}`, reason })
    const managed = (name: string) =>
      `IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/${name}]`
    const instances = 'arn:<AWS::Partition>:ec2:<AWS::Region>:<AWS::AccountId>:instance/*'
    const invoked = `IAM5[Resource::<${Stack.of(this).resolve(logicalId)}.Arn>:*]`

    because(
      this.rollout,
      managed('AWSLambdaBasicDurableExecutionRolePolicy'),
      'Its logs and its own checkpoints only.',
    )
    because(this.onUpload, managed('AWSLambdaBasicExecutionRole'), 'Its logs only.')
    because(this.onUpload, invoked, 'Executions belong to versions of the function, old ones included.')
    because(this.rollout, 'IAM5[Resource::*]', 'IAM has no resource for listing commands and instances.')
    because(
      this.rollout,
      `IAM5[Resource::${instances}]`,
      'Instances come and go; the condition demands the tags.',
    )
    const notifications = Stack.of(this).node.children.find(({ node }) =>
      node.id.startsWith('BucketNotifications'),
    )
    if (notifications)
      because(notifications, managed('AWSLambdaBasicExecutionRole'), "CDK's own; its logs only.")
  }
}

function policyOf(fleet: FleetConfig): FleetPolicy {
  const { environment, app, tags, waves, bakeSeconds, maxConcurrency } = fleet
  const { maxPrepareFailures, maxActivateFailures, onFailure } = fleet
  const { prepareSeconds, migrateSeconds, activateSeconds } = fleet
  return {
    environment,
    app,
    tags,
    waves,
    bakeSeconds,
    maxConcurrency,
    maxPrepareFailures,
    maxActivateFailures,
    onFailure,
    prepareSeconds,
    migrateSeconds,
    activateSeconds,
  }
}

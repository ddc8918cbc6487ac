import { Duration, RemovalPolicy, Stack, Validations } from 'aws-cdk-lib'
import { Rule, Schedule } from 'aws-cdk-lib/aws-events'
import { LambdaFunction } from 'aws-cdk-lib/aws-events-targets'
import { CfnRole, Policy, PolicyStatement } from 'aws-cdk-lib/aws-iam'
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
import { executionSeconds } from '../release/operations.ts'
import { letReadAlarms } from './alarm-access.ts'
import { ARTIFACTS, acknowledgeBucketPaths, type BucketPaths, bucketStatements } from './bucket-access.ts'
import { letCommand } from './command-access.ts'
import { letTell } from './event-access.ts'
import { FailedStarts } from './failed-starts.ts'

export interface ControlFunctionsProps {
  bucket: Bucket
  fleets: readonly FleetConfig[]
}

const ALIAS = 'live'
const LOOK_AGAIN_EVERY = Duration.minutes(5)
/** A stale "look again" is of no use: the next one is on its way. */
const RULES_TRY_FOR = Duration.hours(1)
/** A status costs a target a second of Python. */
const LOOK_AT_FLEETS_EVERY = Duration.minutes(15)

/** `on-upload`, the durable `rollout` and `look-at-fleet`: each with what it may do and the names that it needs. */
export class ControlFunctions extends Construct {
  readonly onUpload: NodejsFunction
  readonly rollout: NodejsFunction
  readonly rolloutAlias: Alias
  readonly lookAtFleet: NodejsFunction
  readonly failedStarts: FailedStarts

  constructor(scope: Construct, id: string, { bucket, fleets }: ControlFunctionsProps) {
    super(scope, id)
    this.failedStarts = new FailedStarts(this, 'FailedStarts')
    const onFailure = this.failedStarts.destination
    this.rollout = this.function('Rollout', 'rollout', fleets, {
      timeout: Duration.minutes(5),
      durableConfig: {
        executionTimeout: Duration.seconds(Math.max(...fleets.map(executionSeconds))),
        retentionPeriod: Duration.days(14),
      },
      // No queue for its failed starts: the lock remembers them, and the next look starts it again.
      // A running rollout ends on the version that it began with.
      currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE },
    })
    this.rolloutAlias = new Alias(this, 'RolloutLive', {
      aliasName: ALIAS,
      version: this.rollout.currentVersion,
    })
    this.lookAtFleet = this.function('LookAtFleet', 'look-at-fleet', fleets, {
      timeout: Duration.minutes(5),
      onFailure,
    })
    this.onUpload = this.function('OnUpload', 'on-upload', fleets, {
      timeout: Duration.minutes(2),
      onFailure,
    })

    this.letCheckpoint()
    this.letUse(bucket, fleets)
    this.letOnUploadStart()
    for (const lambda of [this.rollout, this.lookAtFleet]) letCommand(lambda, fleets)
    for (const lambda of [this.rollout, this.onUpload]) letTell(lambda)
    letReadAlarms(this.rollout)
    this.failedStarts.letCount(this.lookAtFleet)
    this.lookAgainWhen(bucket)
    this.acknowledge()
  }

  private function(
    id: string,
    entry: string,
    fleets: readonly FleetConfig[],
    props: NodejsFunctionProps,
  ): NodejsFunction {
    const lambda = new NodejsFunction(this, id, {
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
    // AWS's own policies are for the logs, and the executions, of the whole account.
    const role = lambda.role?.node.defaultChild
    if (role instanceof CfnRole) role.managedPolicyArns = undefined
    lambda.logGroup.grantWrite(lambda)
    return lambda
  }

  /** Its own executions, by a policy of its own: the role's other one has to be there before the function. */
  private letCheckpoint(): void {
    const { role, functionArn } = this.rollout
    const actions = ['lambda:CheckpointDurableExecution', 'lambda:GetDurableExecutionState']
    const statement = new PolicyStatement({ actions, resources: [`${functionArn}:*/durable-execution/*`] })
    const policy = new Policy(this, 'RolloutCheckpoints', { statements: [statement] })
    if (role) policy.attachToRole(role)
    const logicalId = Stack.of(this).getLogicalId(this.rollout.node.defaultChild as CfnFunction)
    Validations.of(policy).acknowledge({
      id: `AwsSolutions-IAM5[Resource::<${logicalId}.Arn>:*/durable-execution/*]`,
      reason:
        'Each execution belongs to the version of the function that it began with, and has an id of its own.',
    })
  }

  private letUse(bucket: Bucket, fleets: readonly FleetConfig[]): void {
    const uses: [NodejsFunction, BucketPaths][] = [
      [
        this.onUpload,
        {
          read: [...ARTIFACTS, 'requests/*', 'releases/*', 'rollouts/*', 'state.json'],
          readVersions: ARTIFACTS,
          write: ['requests/*', 'releases/*', 'rollouts/*', 'state.json'],
        },
      ],
      [
        this.rollout,
        {
          read: ['requests/*', 'releases/*', 'rollouts/*', 'state.json'],
          write: ['releases/*', 'rollouts/*', 'state.json'],
          tagVersions: ARTIFACTS,
        },
      ],
      [this.lookAtFleet, { read: ['fleet.json', 'state.json'], write: ['fleet.json'] }],
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
    this.onUpload.addEnvironment('FLEET_FUNCTION', this.lookAtFleet.functionName)
    const allow = (action: string, resource: string) =>
      this.onUpload.addToRolePolicy(new PolicyStatement({ actions: [action], resources: [resource] }))
    allow('lambda:GetAlias', this.rollout.functionArn)
    // A lock names the version that it was taken for, which a new deployment does not change.
    allow('lambda:InvokeFunction', `${this.rollout.functionArn}:*`)
    allow('lambda:InvokeFunction', this.lookAtFleet.functionArn)
    // Which of both IAM holds the question against, AWS does not say.
    allow('lambda:ListDurableExecutionsByFunction', this.rollout.functionArn)
    allow('lambda:ListDurableExecutionsByFunction', `${this.rollout.functionArn}:*`)
    const logicalId = Stack.of(this).getLogicalId(this.rollout.node.defaultChild as CfnFunction)
    Validations.of(this.onUpload).acknowledge({
      id: `AwsSolutions-IAM5[Resource::<${logicalId}.Arn>:*]`,
      reason: 'All versions of this one function: a lock names the one that it was taken for.',
    })
  }

  /** Uploads say that there is something to do; ended executions and the clock catch what an event missed. */
  private lookAgainWhen(bucket: Bucket): void {
    const retry = { deadLetterQueue: this.failedStarts.queue, maxEventAge: RULES_TRY_FOR }
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
      targets: [new LambdaFunction(this.onUpload, retry)],
    })
    new Rule(this, 'LookAgain', {
      schedule: Schedule.rate(LOOK_AGAIN_EVERY),
      targets: [new LambdaFunction(this.onUpload, retry)],
    })
    new Rule(this, 'LookAtFleets', {
      schedule: Schedule.rate(LOOK_AT_FLEETS_EVERY),
      targets: [new LambdaFunction(this.lookAtFleet, retry)],
    })
  }

  /** CDK's function that tells the bucket whom to notify. */
  private acknowledge(): void {
    const notifications = Stack.of(this).node.children.find(({ node }) =>
      node.id.startsWith('BucketNotifications'),
    )
    if (!notifications) return
    const policy = 'arn:<AWS::Partition>:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole'
    const reason = "CDK's own; its logs only."
    Validations.of(notifications).acknowledge({ id: `AwsSolutions-IAM4[Policy::${policy}]`, reason })
  }
}

function policyOf(fleet: FleetConfig): FleetPolicy {
  const { environment, app, tags, waves, bakeSeconds, maxConcurrency } = fleet
  const { maxPrepareFailures, maxActivateFailures, onFailure, alarms, keepReleases } = fleet
  const { prepareSeconds, migrateSeconds, activateSeconds } = fleet
  return {
    environment,
    app,
    tags,
    waves,
    bakeSeconds,
    isSigned: fleet.signers.length > 0,
    maxConcurrency,
    maxPrepareFailures,
    maxActivateFailures,
    onFailure,
    alarms,
    keepReleases,
    prepareSeconds,
    migrateSeconds,
    activateSeconds,
  }
}

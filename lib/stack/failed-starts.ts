import { Duration, Validations } from 'aws-cdk-lib'
import { PolicyStatement } from 'aws-cdk-lib/aws-iam'
import type { IDestination, Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda'
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs'
import { Construct } from 'constructs'

/** Where starts of functions end that failed for good, with what they were to do. */
export class FailedStarts extends Construct {
  readonly queue: Queue

  constructor(scope: Construct, id: string) {
    super(scope, id)
    this.queue = new Queue(this, 'Queue', {
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    })
    Validations.of(this.queue).acknowledge({
      id: 'AwsSolutions-SQS3',
      reason: 'It is the dead-letter queue: of functions and rules, not of another queue.',
    })
  }

  /** Of a function that is invoked asynchronously. CDK's own destination would let it read the queue as well. */
  get destination(): IDestination {
    return {
      bind: (_scope, lambda) => {
        const resources = [this.queue.queueArn]
        lambda.addToRolePolicy(new PolicyStatement({ actions: ['sqs:SendMessage'], resources }))
        return { destination: this.queue.queueArn }
      },
    }
  }

  letCount(lambda: LambdaFunction): void {
    lambda.addEnvironment('FAILED_STARTS_QUEUE', this.queue.queueUrl)
    const resources = [this.queue.queueArn]
    lambda.addToRolePolicy(new PolicyStatement({ actions: ['sqs:GetQueueAttributes'], resources }))
  }
}

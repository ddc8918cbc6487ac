import { z } from 'zod'

/** The properties of the template's resources, as far as the local cloud uses them. */

const lifecycleRule = z.strictObject({
  Status: z.enum(['Enabled', 'Disabled']),
  Prefix: z.string().optional(),
  TagFilters: z.array(z.object({ Key: z.string(), Value: z.string() })).default([]),
  ExpirationInDays: z.number().optional(),
  ExpiredObjectDeleteMarker: z.boolean().optional(),
  NoncurrentVersionExpiration: z.object({ NoncurrentDays: z.number() }).optional(),
  AbortIncompleteMultipartUpload: z.object({ DaysAfterInitiation: z.number() }).optional(),
})
export type LifecycleRule = z.infer<typeof lifecycleRule>

export const bucket = z.object({
  VersioningConfiguration: z.object({ Status: z.string() }).optional(),
  LifecycleConfiguration: z.object({ Rules: z.array(lifecycleRule) }).default({ Rules: [] }),
})

export const notifications = z.object({
  BucketName: z.string(),
  NotificationConfiguration: z.strictObject({
    LambdaFunctionConfigurations: z.array(
      z.object({
        Events: z.array(z.string()),
        Filter: z
          .object({
            Key: z.object({ FilterRules: z.array(z.object({ Name: z.string(), Value: z.string() })) }),
          })
          .optional(),
        LambdaFunctionArn: z.string(),
      }),
    ),
  }),
})

export const serviceToken = z.object({
  ServiceToken: z.object({ 'Fn::GetAtt': z.tuple([z.string(), z.string()]) }),
})

export const lambdaFunction = z.object({
  Code: z.object({ S3Key: z.string() }),
  Handler: z.string(),
  Runtime: z.string().regex(/^nodejs/, 'only runtimes of Node.js run locally'),
  Role: z.string(),
  Timeout: z.number().default(3),
  MemorySize: z.number().default(128),
  Environment: z.object({ Variables: z.record(z.string(), z.coerce.string()) }).optional(),
  DurableConfig: z
    .object({ ExecutionTimeout: z.number(), RetentionPeriodInDays: z.number().default(14) })
    .optional(),
})

export const alias = z.object({ FunctionName: z.string(), Name: z.string() })

/** There are no metrics here: of an alarm there is what it is called, and what it says. */
export const alarm = z.object({ AlarmName: z.string(), AlarmDescription: z.string().optional() })
export type Alarm = z.infer<typeof alarm>

export const eventInvokeConfig = z.object({
  FunctionName: z.string(),
  MaximumRetryAttempts: z.number().default(2),
  DestinationConfig: z
    .object({
      OnFailure: z
        .object({ Destination: z.string().startsWith('arn:aws:sqs:', 'only queues are local destinations') })
        .optional(),
    })
    .optional(),
})

export const rule = z.object({
  EventPattern: z.record(z.string(), z.unknown()).optional(),
  ScheduleExpression: z.string().optional(),
  State: z.string().default('ENABLED'),
  Targets: z.array(z.object({ Arn: z.string(), Input: z.string().optional() })).default([]),
})

export const document = z.object({
  Content: z.record(z.string(), z.unknown()),
  VersionName: z.string().optional(),
})

export const association = z.object({
  Name: z.string(),
  AssociationName: z.string().optional(),
  DocumentVersion: z.string().optional(),
  Parameters: z.record(z.string(), z.array(z.string())).default({}),
  Targets: z.array(z.object({ Key: z.string(), Values: z.array(z.string()) })),
  ScheduleExpression: z.string().optional(),
  MaxConcurrency: z.string().optional(),
  MaxErrors: z.string().optional(),
})
export type Association = z.infer<typeof association>

import { randomUUID } from 'node:crypto'
import type { FailedInvocation } from './async-invocations.ts'

/**
 * What Lambda sends to the destination of an asynchronous invocation that has failed for good.
 * https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
 */
export function failureRecord({ functionArn, payload, invocations, result }: FailedInvocation) {
  const isQualified = functionArn.split(':').length > 7
  return {
    version: '1.0',
    timestamp: new Date().toISOString(),
    requestContext: {
      requestId: randomUUID(),
      functionArn: isQualified ? functionArn : `${functionArn}:$LATEST`,
      condition: 'RetriesExhausted',
      approximateInvokeCount: invocations,
    },
    requestPayload: JSON.parse(payload),
    responseContext: { statusCode: 200, executedVersion: '$LATEST', functionError: result.error },
    responsePayload: JSON.parse(result.payload.toString() || 'null'),
  }
}

import { InvokeCommand, type LambdaClient } from '@aws-sdk/client-lambda'
import type { AppScope } from '../release/keys.ts'

/** The function that asks a fleet what it serves, and writes it into `fleet.json`. */
export interface FleetLooker {
  /** Returns at once; asking takes seconds. */
  start(scope: AppScope): Promise<void>
}

export function fleetLooker(lambda: LambdaClient, functionName: string): FleetLooker {
  return {
    async start({ environment, app }) {
      const Payload = JSON.stringify({ environment, app })
      await lambda.send(new InvokeCommand({ FunctionName: functionName, InvocationType: 'Event', Payload }))
    },
  }
}

import type { FleetPolicy } from '../../lib/release/fleet.ts'
import type { FunctionVersion } from '../../local/lambda/function-config.ts'

export const SCOPE = { environment: 'production', app: 'shop' }
export const REGION = 'eu-central-1'
export const BUCKET = 'artifacts'
export const TAGS = { app: 'shop' }

export const POLICY: FleetPolicy = {
  ...SCOPE,
  tags: TAGS,
  waves: [1, '50%', '100%'],
  isSigned: false,
  bakeSeconds: 60,
  maxConcurrency: '50%',
  maxPrepareFailures: 0,
  maxActivateFailures: 0,
  onFailure: 'revert',
  alarms: [],
  keepReleases: 5,
  prepareSeconds: 900,
  migrateSeconds: 3600,
  activateSeconds: 120,
}

export const FUNCTION: FunctionVersion = {
  version: '1',
  config: {
    name: 'rollout',
    handler: 'index.handler',
    directory: '',
    codeHash: '',
    environment: {},
    timeoutSeconds: 300,
    memoryMb: 512,
    role: 'rollout',
    durable: { executionTimeoutSeconds: 172_800, retentionDays: 14 },
  },
}

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { UserError } from '../lib/user-error.ts'
import type { CredentialStore } from './credentials.ts'
import type { FleetMember, RunningTarget } from './fleets.ts'
import { loopbackAddress } from './loopback-address.ts'
import type { ProcessRecord } from './process-record.ts'
import type { Ssm } from './ssm/ssm.ts'
import type { SandboxChoice } from './targets/sandbox.ts'
import { startTarget } from './targets/target.ts'
import { fleetSettings } from './template/fleet-settings.ts'
import type { LocalStack } from './template/local-stack.ts'

export interface StartMemberOptions {
  stack: LocalStack
  directory: string
  region: string
  endpointUrl: string
  credentials: CredentialStore
  processes: ProcessRecord
  ssm: Ssm
  sandbox: SandboxChoice
}

const PATIENCE_MS = 30_000

/** Starts a target as the template wants those of its fleet, until SSM knows it as online. */
export async function startMember(member: FleetMember, options: StartMemberOptions): Promise<RunningTarget> {
  const { instanceId, environment, app } = member
  const { stack, directory, ssm, ...common } = options
  const { tags, base, envFile } = fleetSettings(stack, environment, app)
  // A fleet has one database: it is migrated once.
  const shared = join(directory, 'shared', `${environment}-${app}`)
  mkdirSync(shared, { recursive: true })
  ssm.registerInstance(instanceId, tags)
  const target = await startTarget({
    ...common,
    instanceId,
    directory: join(directory, 'targets', instanceId),
    app,
    base,
    envFile,
    env: { DATABASE: join(shared, 'database.sqlite3') },
    shared,
    listen: loopbackAddress(instanceId),
  })
  await isOnline(instanceId, ssm).catch(async (error) => {
    await target.stop()
    throw error
  })
  const stop = async () => {
    await target.stop()
    ssm.stopInstance(instanceId)
  }
  return { ...target, stop }
}

async function isOnline(instanceId: string, ssm: Ssm): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; !ssm.isOnline(instanceId); await setTimeout(20)) {
    if (Date.now() > end) {
      throw new UserError(
        `Target ${instanceId} has not reported to SSM within ${PATIENCE_MS / 1000} seconds.`,
      )
    }
  }
}

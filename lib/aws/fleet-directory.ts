import { paginateDescribeInstanceInformation, type SSMClient } from '@aws-sdk/client-ssm'

export interface FleetMember {
  target: string
  /** Only a target that is online can be told anything; the others catch up when they are back. */
  online: boolean
}

/** Who carries all of these tags, as SSM knows them; sorted by id, so that plans are the same every time. */
export async function listFleet(ssm: SSMClient, tags: Record<string, string>): Promise<FleetMember[]> {
  const Filters = Object.entries(tags).map(([key, value]) => ({ Key: `tag:${key}`, Values: [value] }))
  const members: FleetMember[] = []
  for await (const page of paginateDescribeInstanceInformation({ client: ssm, pageSize: 50 }, { Filters })) {
    for (const { InstanceId, PingStatus } of page.InstanceInformationList ?? []) {
      if (InstanceId) members.push({ target: InstanceId, online: PingStatus === 'Online' })
    }
  }
  return members.sort((a, b) => a.target.localeCompare(b.target))
}

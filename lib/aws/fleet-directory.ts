import {
  paginateDescribeInstanceInformation,
  paginateDescribeInstanceProperties,
  type SSMClient,
} from '@aws-sdk/client-ssm'

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

const IDS_PER_FILTER = 40
const GOING = ['stopping', 'stopped', 'shutting-down', 'terminated']

/** Which of these are stopped, or there no more; one that runs and says nothing is not among them. */
export async function listGone(ssm: SSMClient, targets: readonly string[]): Promise<string[]> {
  const running = new Set<string>()
  for (let start = 0; start < targets.length; start += IDS_PER_FILTER) {
    const valueSet = targets.slice(start, start + IDS_PER_FILTER)
    const InstancePropertyFilterList = [{ key: 'InstanceIds' as const, valueSet }]
    const pages = paginateDescribeInstanceProperties(
      { client: ssm, pageSize: 50 },
      { InstancePropertyFilterList },
    )
    for await (const page of pages) {
      for (const { InstanceId = '', InstanceState = '' } of page.InstanceProperties ?? []) {
        if (!GOING.includes(InstanceState.toLowerCase())) running.add(InstanceId)
      }
    }
  }
  return targets.filter((target) => !running.has(target))
}

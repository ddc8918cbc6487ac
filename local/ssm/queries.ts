import type {
  Command,
  CommandFilter,
  CommandInvocation,
  DescribeInstanceInformationRequest,
  DescribeInstancePropertiesRequest,
  GetCommandInvocationRequest,
  GetCommandInvocationResult,
  ListCommandInvocationsRequest,
  ListCommandsRequest,
  PlatformType,
} from '@aws-sdk/client-ssm'
import {
  type CommandRecord,
  commandStatus,
  countErrors,
  hasEnded,
  type InvocationRecord,
  invocationsOf,
  isOver,
  type StepRecord,
} from './command.ts'
import { ssmError, validationError } from './errors.ts'
import { type Instance, type Instances, matchesAll } from './instances.ts'
import { pageOf } from './page.ts'
import type { RunCommand } from './run-command.ts'

/** What can be asked of commands and instances, in the SDK's own shapes. */

export function listCommands(runs: RunCommand, request: ListCommandsRequest) {
  checkPageSize(request.MaxResults, 1, 50)
  const filters = (request.Filters ?? []).map(commandFilter)
  const found = runs
    .all()
    .filter(({ commandId }) => !request.CommandId || commandId === request.CommandId)
    .filter(({ invocations }) => !request.InstanceId || request.InstanceId in invocations)
    .filter((command) => filters.every((passes) => passes(command)))
  const { items, NextToken } = pageOf(found, request, 50)
  return { Commands: items.map(describeCommand), NextToken }
}

export function listCommandInvocations(runs: RunCommand, request: ListCommandInvocationsRequest) {
  checkPageSize(request.MaxResults, 1, 50)
  const filters = (request.Filters ?? []).map(commandFilter)
  const commands = request.CommandId ? [runs.get(request.CommandId)] : runs.all()
  const found = commands
    .flatMap((command) =>
      command ? invocationsOf(command).map((invocation) => ({ command, invocation })) : [],
    )
    .filter(({ invocation }) => !request.InstanceId || invocation.instanceId === request.InstanceId)
    .filter(({ command }) => filters.every((passes) => passes(command)))
  const { items, NextToken } = pageOf(found, request, 50)
  const CommandInvocations = items.map(({ command, invocation }) =>
    describeInvocation(command, invocation, request.Details ?? false),
  )
  return { CommandInvocations, NextToken }
}

export function getCommandInvocation(
  runs: RunCommand,
  { CommandId = '', InstanceId = '', PluginName }: GetCommandInvocationRequest,
): GetCommandInvocationResult {
  const command = runs.get(CommandId)
  const invocation = command?.invocations[InstanceId]
  if (!command || !invocation) {
    throw ssmError('InvocationDoesNotExist', `No invocation of command ${CommandId} on ${InstanceId}.`)
  }
  const names = Object.keys(invocation.steps)
  if (!PluginName && names.length > 1) {
    throw ssmError('InvalidPluginName', `The command has several steps: ${names.join(', ')}. Name one.`)
  }
  const name = PluginName ?? names[0]
  const step = name ? invocation.steps[name] : undefined
  if (PluginName && !step && hasEnded(invocation)) {
    throw ssmError('InvalidPluginName', `The command has no step ${PluginName}.`)
  }
  return {
    CommandId,
    InstanceId,
    Comment: command.comment,
    DocumentName: command.documentName,
    DocumentVersion: command.documentVersion,
    PluginName: name,
    Status: invocation.status,
    StatusDetails: invocation.statusDetails,
    ResponseCode: hasEnded(invocation) ? (step?.code ?? -1) : -1,
    ExecutionStartDateTime: step?.startedAt ?? '',
    ExecutionEndDateTime: step?.endedAt ?? '',
    // Empty until the plugin has finished.
    StandardOutputContent: hasEnded(invocation) ? (step?.standardOutput ?? '') : '',
    StandardErrorContent: hasEnded(invocation) ? (step?.standardError ?? '') : '',
    StandardOutputUrl: '',
    StandardErrorUrl: '',
  }
}

export function describeInstanceInformation(
  instances: Instances,
  request: DescribeInstanceInformationRequest,
) {
  checkPageSize(request.MaxResults, 5, 50)
  const filters = instanceFilters(request)
  const found = instances
    .managed()
    .map((instance) => describeInstance(instance, instances.isOnline(instance.instanceId)))
    .filter((described) => {
      const instance = instances.get(described.InstanceId)
      return instance && filters.every((filter) => passesInstance(described, instance, filter))
    })
  const { items, NextToken } = pageOf(found, request, 10)
  return { InstanceInformationList: items, NextToken }
}

interface InstanceFilter {
  Key: string
  Values: string[]
}

/** The legacy list is the same under another name; both together are refused. */
function instanceFilters(request: DescribeInstanceInformationRequest): InstanceFilter[] {
  const { Filters = [], InstanceInformationFilterList: legacy = [] } = request
  if (Filters.length > 0 && legacy.length > 0) {
    throw validationError('Filters and InstanceInformationFilterList cannot both be given')
  }
  const current = Filters.map(({ Key = '', Values = [] }) => ({ Key, Values }))
  return [...current, ...legacy.map(({ key = '', valueSet = [] }) => ({ Key: key, Values: valueSet }))]
}

function passesInstance(
  { PingStatus, PlatformType, AgentVersion, ResourceType }: DescribedInstance,
  instance: Instance,
  { Key, Values }: InstanceFilter,
): boolean {
  const facts: Record<string, string> = { PingStatus, PlatformType, AgentVersion, ResourceType }
  const fact = facts[Key === 'PlatformTypes' ? 'PlatformType' : Key]
  if (fact !== undefined) return Values.includes(fact)
  if (Key === 'InstanceIds' || Key === 'tag-key' || Key.startsWith('tag:'))
    return matchesAll(instance, [{ Key, Values }])
  throw ssmError('InvalidFilterKey', `The local cloud has no filter "${Key}".`)
}

/** Asked by instance id only. */
export function describeInstanceProperties(instances: Instances, request: DescribeInstancePropertiesRequest) {
  checkPageSize(request.MaxResults, 5, 1000)
  const found = (request.InstancePropertyFilterList ?? []).reduce((left, { key, valueSet = [] }) => {
    if (key !== 'InstanceIds') {
      throw ssmError('InvalidInstancePropertyFilterValue', `The local cloud has no filter "${key}".`)
    }
    if (valueSet.length > 40) throw validationError('valueSet must have length less than or equal to 40')
    return left.filter(({ instanceId }) => valueSet.includes(instanceId))
  }, instances.managed())
  const { items, NextToken } = pageOf(found, request, 50)
  const InstanceProperties = items.map(({ instanceId, state = 'running' }) => ({
    InstanceId: instanceId,
    InstanceState: state,
    PingStatus: instances.isOnline(instanceId) ? ('Online' as const) : ('ConnectionLost' as const),
  }))
  return { InstanceProperties, NextToken }
}

function describeInstance({ instanceId, agent, lastPingAt }: Instance, isOnline: boolean) {
  return {
    InstanceId: instanceId,
    PingStatus: isOnline ? ('Online' as const) : ('ConnectionLost' as const),
    LastPingDateTime: lastPingAt ? new Date(lastPingAt) : undefined,
    AgentVersion: agent?.version ?? '',
    IsLatestVersion: true,
    PlatformType: (agent?.platformType ?? '') as PlatformType,
    PlatformName: agent?.platformName,
    PlatformVersion: agent?.platformVersion,
    ResourceType: 'EC2Instance' as const,
    IPAddress: agent?.ipAddress,
    ComputerName: agent?.computerName,
  }
}

type DescribedInstance = ReturnType<typeof describeInstance>

export function describeCommand(command: CommandRecord): Command {
  const { status, details } = commandStatus(command)
  const all = invocationsOf(command)
  return {
    CommandId: command.commandId,
    DocumentName: command.documentName,
    DocumentVersion: command.documentVersion,
    Comment: command.comment,
    ExpiresAfter: new Date(command.expiresAt),
    Parameters: command.parameters,
    InstanceIds: command.instanceIds,
    Targets: command.targets,
    RequestedDateTime: new Date(command.requestedAt),
    Status: status as Command['Status'] & string,
    StatusDetails: details,
    OutputS3BucketName: '',
    OutputS3KeyPrefix: '',
    MaxConcurrency: command.maxConcurrency,
    MaxErrors: command.maxErrors,
    TargetCount: all.length,
    CompletedCount: all.filter(hasEnded).length,
    ErrorCount: countErrors(command),
    DeliveryTimedOutCount: all.filter(({ statusDetails }) => statusDetails === 'DeliveryTimedOut').length,
    TimeoutSeconds: command.timeoutSeconds,
  }
}

function describeInvocation(
  command: CommandRecord,
  invocation: InvocationRecord,
  withSteps: boolean,
): CommandInvocation {
  return {
    CommandId: command.commandId,
    InstanceId: invocation.instanceId,
    InstanceName: '',
    Comment: command.comment,
    DocumentName: command.documentName,
    DocumentVersion: command.documentVersion,
    RequestedDateTime: new Date(command.requestedAt),
    Status: invocation.status,
    StatusDetails: invocation.statusDetails,
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    CommandPlugins: withSteps ? Object.entries(invocation.steps).map(describeStep) : [],
  }
}

function describeStep([Name, step]: [string, StepRecord]) {
  return {
    Name,
    Status: step.status as 'Success',
    StatusDetails: step.status,
    ResponseCode: step.code,
    Output: step.output,
    ...(step.startedAt && { ResponseStartDateTime: new Date(step.startedAt) }),
    ...(step.endedAt && { ResponseFinishDateTime: new Date(step.endedAt) }),
    StandardOutputUrl: '',
    StandardErrorUrl: '',
    OutputS3BucketName: '',
    OutputS3KeyPrefix: '',
  }
}

/** Read once, as a filter that is none is refused also where there is nothing to filter. */
function commandFilter({ key, value = '' }: CommandFilter): (command: CommandRecord) => boolean {
  switch (key) {
    case 'InvokedAfter': {
      const time = timeOf(value)
      return ({ requestedAt }) => Date.parse(requestedAt) >= time
    }
    case 'InvokedBefore': {
      const time = timeOf(value)
      return ({ requestedAt }) => Date.parse(requestedAt) < time
    }
    case 'DocumentName':
      return ({ documentName }) => documentName === value
    case 'Status':
      return (command) => Object.values(commandStatus(command)).includes(value)
    case 'ExecutionStage':
      return (command) => (value === 'Complete') === isOver(command)
    default:
      throw ssmError('InvalidFilterKey', `"${key}" is not a filter of commands.`)
  }
}

function timeOf(value: string): number {
  const time = Date.parse(value)
  if (Number.isNaN(time)) throw validationError(`filters: "${value}" is not a time like 2026-01-02T03:04:05Z`)
  return time
}

function checkPageSize(size: number | undefined, least: number, most: number): void {
  if (size !== undefined && (size < least || size > most)) {
    throw validationError(`maxResults must be between ${least} and ${most}`)
  }
}

import { randomUUID } from 'node:crypto'
import type { SendCommandRequest } from '@aws-sdk/client-ssm'
import { type CommandRecord, pendingInvocations } from './command.ts'
import { type Documents, executionSeconds, resolveParameters } from './documents.ts'
import { ssmError, validationError } from './errors.ts'
import type { Instances } from './instances.ts'

const MAX_IDS = 50
const MAX_TARGETS = 5
const MAX_VALUES = 50
const LARGEST_DOCUMENT = 64 * 1024
const CONCURRENCY = /^([1-9][0-9]*|[1-9][0-9]%|[1-9]%|100%)$/
const ERRORS = /^([1-9][0-9]*|[0]|[1-9][0-9]%|[0-9]%|100%)$/

/** Holds a request against the limits of the service, and makes the command of it; nothing is sent yet. */
export function acceptCommand(
  request: SendCommandRequest,
  { documents, instances }: { documents: Documents; instances: Instances },
): CommandRecord {
  checkLimits(request)
  const document = documents.find(request.DocumentName, { version: request.DocumentVersion ?? '$DEFAULT' })
  if (request.DocumentHash && request.DocumentHash !== document.hash) {
    throw ssmError(
      'InvalidDocument',
      `The hash of ${document.name} version ${document.version} is another one.`,
    )
  }
  const parameters = (request.Parameters ?? {}) as Record<string, string[]>
  const resolvedParameters = resolveParameters(document, parameters)
  checkSize(document.content, parameters)
  const instanceIds = request.InstanceIds ?? []
  checkInstances(instanceIds, instances)
  const timeoutSeconds = request.TimeoutSeconds ?? 3600
  const requestedAt = Date.now()
  return {
    commandId: randomUUID(),
    documentName: document.name,
    documentVersion: document.version,
    comment: request.Comment ?? '',
    parameters,
    resolvedParameters,
    targets: request.Targets ?? [],
    instanceIds,
    isResolved: instanceIds.length > 0,
    maxConcurrency: request.MaxConcurrency ?? '50',
    maxErrors: request.MaxErrors ?? '0',
    timeoutSeconds,
    requestedAt: new Date(requestedAt).toISOString(),
    expiresAt: new Date(
      requestedAt + (timeoutSeconds + executionSeconds(document.content)) * 1000,
    ).toISOString(),
    isCancelled: false,
    invocations: pendingInvocations(instanceIds),
  }
}

function checkLimits(request: SendCommandRequest): void {
  const { InstanceIds = [], Targets = [], MaxConcurrency = '50', MaxErrors = '0', Comment = '' } = request
  if (InstanceIds.length > MAX_IDS)
    throw validationError(`instanceIds must have length less than or equal to ${MAX_IDS}`)
  if (Targets.length > MAX_TARGETS)
    throw validationError(`targets must have length less than or equal to ${MAX_TARGETS}`)
  if (Targets.some(({ Values = [] }) => Values.length > MAX_VALUES)) {
    throw validationError(`the values of a target must have length less than or equal to ${MAX_VALUES}`)
  }
  if (InstanceIds.length === 0 && Targets.length === 0) {
    throw ssmError('InvalidParameters', 'Either InstanceIds or Targets must be given.')
  }
  if (InstanceIds.length > 0 && Targets.length > 0) {
    throw ssmError('InvalidParameters', 'InstanceIds and Targets cannot both be given.')
  }
  if (!CONCURRENCY.test(MaxConcurrency))
    throw validationError(`maxConcurrency "${MaxConcurrency}" is not a count or %`)
  if (!ERRORS.test(MaxErrors)) throw validationError(`maxErrors "${MaxErrors}" is not a count or %`)
  if (Comment.length > 100) throw validationError('comment must have length less than or equal to 100')
  const seconds = request.TimeoutSeconds ?? 3600
  if (seconds < 30 || seconds > 2_592_000)
    throw validationError('timeoutSeconds must be between 30 and 2592000')
}

function checkSize(content: object, parameters: object): void {
  if (
    Buffer.byteLength(JSON.stringify(content)) + Buffer.byteLength(JSON.stringify(parameters)) >
    LARGEST_DOCUMENT
  ) {
    throw ssmError('MaxDocumentSizeExceeded', 'The document with its parameters is larger than 64 KB.')
  }
}

function checkInstances(instanceIds: readonly string[], instances: Instances): void {
  if (new Set(instanceIds).size < instanceIds.length) {
    throw ssmError('DuplicateInstanceId', 'You cannot specify an instance ID in more than one place.')
  }
  const unknown = instanceIds.filter((id) => !instances.get(id)?.agent)
  if (unknown.length > 0) {
    throw ssmError(
      'InvalidInstanceId',
      `Instances [[${unknown.join(', ')}]] not in a valid state for account`,
    )
  }
}

import { sha256 } from '../../lib/release/digest.ts'
import { JsonFolder } from '../json-folder.ts'
import type { Documents } from './documents.ts'
import { type Instance, matchesAll, type Target } from './instances.ts'

export interface GivenAssociation {
  /** Of the document. */
  documentName: string
  documentVersion?: string | undefined
  associationName?: string | undefined
  parameters: Record<string, string[]>
  targets: Target[]
  scheduleExpression?: string | undefined
}

/** How it went on a target the last time. */
interface Result {
  status: string
  /** In seconds, as agents tell it. */
  executedAt: number
  summary: string
  /** Of the document and the parameters that were run. */
  checksum: string
}

interface StoredAssociation extends GivenAssociation {
  associationId: string
  results: Record<string, Result>
}

export interface ExecutionResult {
  Status: string
  ExecutionDate: number
  ExecutionSummary?: string
}

/** Documents that State Manager runs on whoever carries the tags, from the moment they join. */
export class Associations {
  readonly #associations: JsonFolder<StoredAssociation>
  readonly #documents: Documents

  constructor(directory: string, documents: Documents) {
    this.#associations = new JsonFolder(directory)
    this.#documents = documents
  }

  put(given: GivenAssociation): void {
    const associationId = uuidOf(given.associationName ?? JSON.stringify([given.documentName, given.targets]))
    const results = this.#associations.get(associationId)?.results ?? {}
    this.#associations.put(associationId, { ...given, associationId, results })
  }

  /** As the agent is told them; another document or other parameters make one pending again. */
  of(instance: Instance | undefined): object[] {
    if (!instance) return []
    const its = this.#associations.all().filter(({ targets }) => matchesAll(instance, targets))
    return its.map((association) => {
      const { version } = this.#documentOf(association)
      const checksum = this.#checksumOf(association)
      const result = association.results[instance.instanceId]
      const isCurrent = result?.checksum === checksum
      return {
        AssociationId: association.associationId,
        AssociationName: association.associationName,
        AssociationVersion: '1',
        InstanceId: instance.instanceId,
        Name: association.documentName,
        DocumentVersion: version,
        Parameters: association.parameters,
        ScheduleExpression: association.scheduleExpression,
        Checksum: checksum,
        DetailedStatus: isCurrent ? result.status : 'Pending',
        ...(isCurrent && { LastExecutionDate: result.executedAt }),
      }
    })
  }

  note(associationId: string, instanceId: string, given: ExecutionResult): void {
    const known = this.#associations.get(associationId)
    if (!known) return
    const result = {
      status: given.Status,
      executedAt: given.ExecutionDate,
      summary: given.ExecutionSummary ?? '',
      checksum: this.#checksumOf(known),
    }
    this.#associations.put(associationId, { ...known, results: { ...known.results, [instanceId]: result } })
  }

  #documentOf({ documentName, documentVersion = '$DEFAULT' }: StoredAssociation) {
    return this.#documents.find(documentName, { version: documentVersion })
  }

  #checksumOf(association: StoredAssociation): string {
    return sha256(this.#documentOf(association).hash + JSON.stringify(association.parameters))
  }
}

/** The same association has the same id after every start. */
function uuidOf(text: string): string {
  const hex = sha256(text)
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}

import { createHash } from 'node:crypto'
import type { Documents } from './documents.ts'
import { type Instance, matchesAll, type Target } from './instances.ts'
import { JsonFolder } from './json-folder.ts'

export interface GivenAssociation {
  /** Of the document. */
  documentName: string
  documentVersion?: string | undefined
  associationName?: string | undefined
  parameters: Record<string, string[]>
  targets: Target[]
  scheduleExpression?: string | undefined
}

interface StoredAssociation extends GivenAssociation {
  associationId: string
  results: Record<string, object>
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

  /** As the agent is told them; another version of the document gives another checksum, and a run. */
  of(instance: Instance | undefined): object[] {
    if (!instance) return []
    const its = this.#associations.all().filter(({ targets }) => matchesAll(instance, targets))
    return its.map((association) => {
      const document = this.#documents.find(association.documentName, {
        version: association.documentVersion ?? '$DEFAULT',
      })
      return {
        AssociationId: association.associationId,
        AssociationName: association.associationName,
        AssociationVersion: '1',
        InstanceId: instance.instanceId,
        Name: association.documentName,
        DocumentVersion: document.version,
        Parameters: association.parameters,
        ScheduleExpression: association.scheduleExpression,
        Checksum: document.hash,
      }
    })
  }

  note(associationId: string, instanceId: string, result: object): void {
    const known = this.#associations.get(associationId)
    if (known)
      this.#associations.put(associationId, { ...known, results: { ...known.results, [instanceId]: result } })
  }
}

/** The same association has the same id after every start. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    `4${hex.slice(13, 16)}`,
    `8${hex.slice(17, 20)}`,
    hex.slice(20, 32),
  ].join('-')
}

import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { writeFileAtomically } from '../atomic-file.ts'
import { intervalMs } from '../events/schedule.ts'
import type { Call } from './message-service.ts'
import { unlistParameters } from './parameters.ts'
import { countStatuses } from './reply.ts'
import { type DocumentResult, type DocumentRun, parseDocument, runDocument } from './run-document.ts'

/** As `ListInstanceAssociations` tells of it. */
export interface Association {
  AssociationId: string
  Name: string
  DocumentVersion?: string
  Checksum?: string
  Parameters?: Record<string, string[]>
  ScheduleExpression?: string
}

export interface AssociationsOptions {
  instanceId: string
  call: Call
  /** Remembers when what was run. */
  stateFile: string
  orchestrationFolder: string
  settings: Pick<DocumentRun, 'environment' | 'knowsEnvironmentParameters'>
}

interface LastRun {
  content: string
  at: number
}

/** Documents that State Manager wants run on this target, one after the other. */
export class Associations {
  readonly #options: AssociationsOptions
  #isAtWork = false

  constructor(options: AssociationsOptions) {
    this.#options = options
  }

  async runDue(): Promise<void> {
    if (this.#isAtWork) return
    this.#isAtWork = true
    try {
      const { instanceId, call } = this.#options
      const input = { InstanceId: instanceId, MaxResults: 20 }
      const { Associations } = await call<{ Associations?: Association[] }>(
        'AmazonSSM.ListInstanceAssociations',
        input,
      )
      for (const association of Associations ?? []) if (this.#isDue(association)) await this.#run(association)
    } finally {
      this.#isAtWork = false
    }
  }

  #isDue(association: Association): boolean {
    const last = this.#lastRuns()[association.AssociationId]
    if (last?.content !== contentOf(association)) return true
    if (!association.ScheduleExpression) return false
    return Date.now() - last.at >= intervalMs(association.ScheduleExpression)
  }

  async #run(association: Association): Promise<void> {
    const { orchestrationFolder, settings } = this.#options
    const startedAt = Date.now()
    await this.#report(association, 'InProgress', 'Executing association')
    const content = await this.#document(association)
    const result = await runDocument({
      content,
      parameters: unlistParameters(parseDocument(content)?.parameters ?? {}, association.Parameters ?? {}),
      folder: join(orchestrationFolder, association.AssociationId, randomUUID()),
      ...settings,
      cancelled: new AbortController().signal,
    })
    this.#remember(association, startedAt)
    const status = result.status === 'Success' ? 'Success' : 'Failed'
    await this.#report(association, status, summary(result))
  }

  async #document({ Name, DocumentVersion }: Association): Promise<unknown> {
    const input = { Name, ...(DocumentVersion ? { DocumentVersion } : {}) }
    const { Content } = await this.#options.call<{ Content: string }>('AmazonSSM.GetDocument', input)
    return JSON.parse(Content)
  }

  #report({ AssociationId }: Association, Status: string, ExecutionSummary: string): Promise<void> {
    return this.#options.call('AmazonSSM.UpdateInstanceAssociationStatus', {
      InstanceId: this.#options.instanceId,
      AssociationId,
      ExecutionResult: {
        Status,
        ErrorCode: '',
        ExecutionDate: Date.now() / 1000,
        ExecutionSummary: ExecutionSummary.slice(0, 510),
      },
    })
  }

  #remember(association: Association, at: number): void {
    const runs = { ...this.#lastRuns(), [association.AssociationId]: { content: contentOf(association), at } }
    writeFileAtomically(this.#options.stateFile, JSON.stringify(runs))
  }

  #lastRuns(): Record<string, LastRun> {
    try {
      return JSON.parse(readFileSync(this.#options.stateFile, 'utf8'))
    } catch {
      return {}
    }
  }
}

/** Another version of the document or other parameters make it due, whatever its schedule says. */
function contentOf({ DocumentVersion, Checksum, Parameters }: Association): string {
  return createHash('sha256')
    .update(JSON.stringify([DocumentVersion, Checksum, Parameters]))
    .digest('hex')
}

function summary({ trace, steps }: DocumentResult): string {
  const { Success = 0, Failed = 0, TimedOut = 0, Skipped = 0 } = countStatuses(steps)
  const counts = `${Success} success, ${Failed} failed, ${TimedOut} timedout, ${Skipped} skipped`
  return trace || `${steps.length} out of ${steps.length} plugin processed, ${counts}. `
}

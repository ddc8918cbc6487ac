import { readFileSync } from 'node:fs'
import { ArnFormat, Stack } from 'aws-cdk-lib'
import { CfnDocument } from 'aws-cdk-lib/aws-ssm'
import { Construct } from 'constructs'
import { sha256 } from '../release/digest.ts'

/** The parts of the target program that it reads itself; what a target is sent is `TargetDocument`'s. */
export const PROGRAM_PARTS = ['verify', 'prepare', 'migrate'] as const
export type ProgramPart = (typeof PROGRAM_PARTS)[number]

/** What a target's document says of another part of its program. */
export interface PinnedProgram {
  document: string
  sha256: string
}
export type PinnedPrograms = Record<ProgramPart, PinnedProgram>

/** Those parts as readable source, a document each, one for all fleets. */
export class ProgramDocuments extends Construct {
  readonly programs: PinnedPrograms
  readonly arns: string[]

  constructor(scope: Construct, id: string) {
    super(scope, id)
    const pinned = eachPart((part) => this.#document(part))
    this.programs = pinned
    const arnFormat = ArnFormat.SLASH_RESOURCE_NAME
    this.arns = PROGRAM_PARTS.map((part) =>
      Stack.of(this).formatArn({
        service: 'ssm',
        resource: 'document',
        resourceName: pinned[part].document,
        arnFormat,
      }),
    )
  }

  #document(part: ProgramPart): PinnedProgram {
    const { ref } = new CfnDocument(this, part, {
      documentType: 'Command',
      documentFormat: 'JSON',
      targetType: '/AWS::EC2::Instance',
      updateMethod: 'NewVersion',
      content: programDocumentContent(part),
    })
    return { document: ref, sha256: sha256(programSource(part)) }
  }
}

/** Sent to a target by mistake it prints itself and does nothing. */
export function programDocumentContent(part: ProgramPart) {
  const end = `PYBUNDLE_${part.toUpperCase()}`
  const runCommand = [`cat <<'${end}'`, ...programSource(part).trimEnd().split('\n'), end]
  return {
    schemaVersion: '2.2',
    description: `What targets run to ${part} (pybundle-deploy); read by them, not sent to them`,
    mainSteps: [{ action: 'aws:runShellScript', name: 'program', inputs: { runCommand } }],
  }
}

export function programSource(part: ProgramPart): string {
  return readFileSync(new URL(`../../target/pybundle_${part}.py`, import.meta.url), 'utf8')
}

export function eachPart<T>(make: (part: ProgramPart) => T): Record<ProgramPart, T> {
  return { verify: make('verify'), prepare: make('prepare'), migrate: make('migrate') }
}

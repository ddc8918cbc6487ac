import { readFileSync } from 'node:fs'
import { ArnFormat, Stack } from 'aws-cdk-lib'
import { CfnDocument } from 'aws-cdk-lib/aws-ssm'
import { Construct } from 'constructs'
import { sha256 } from '../release/digest.ts'

const PROGRAM = readFileSync(new URL('../../target/pybundle_prepare.py', import.meta.url), 'utf8')

/** What a target's document says of the other half of its program. */
export interface PrepareProgram {
  document: string
  version: string
  sha256: string
}

/** The half of the target program that prepares releases, as readable source: one for all fleets. */
export class PrepareDocument extends Construct {
  readonly program: PrepareProgram
  readonly arn: string

  constructor(scope: Construct, id: string) {
    super(scope, id)
    const digest = sha256(PROGRAM)
    const version = `content-${digest.slice(0, 16)}`
    const { ref } = new CfnDocument(this, 'Document', {
      documentType: 'Command',
      documentFormat: 'JSON',
      targetType: '/AWS::EC2::Instance',
      updateMethod: 'NewVersion',
      versionName: version,
      content: prepareDocumentContent(),
    })
    this.program = { document: ref, version, sha256: digest }
    const arnFormat = ArnFormat.SLASH_RESOURCE_NAME
    this.arn = Stack.of(this).formatArn({
      service: 'ssm',
      resource: 'document',
      resourceName: ref,
      arnFormat,
    })
  }
}

/** Sent to a target by mistake it prints itself and does nothing. */
export function prepareDocumentContent() {
  const runCommand = ["cat <<'PYBUNDLE_PREPARE'", ...PROGRAM.trimEnd().split('\n'), 'PYBUNDLE_PREPARE']
  return {
    schemaVersion: '2.2',
    description: 'What targets run to prepare a release (pybundle-deploy); read by them, not sent to them',
    mainSteps: [{ action: 'aws:runShellScript', name: 'program', inputs: { runCommand } }],
  }
}

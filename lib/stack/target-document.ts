import { readFileSync } from 'node:fs'
import { ArnFormat, Stack } from 'aws-cdk-lib'
import { CfnAssociation, CfnDocument } from 'aws-cdk-lib/aws-ssm'
import { Construct } from 'constructs'
import type { FleetConfig } from '../config/fleets.ts'
import { PARAMETERS } from '../release/command.ts'
import { sha256 } from '../release/digest.ts'
import { commandSeconds } from '../release/fleet.ts'
import { reportsFolder } from '../release/keys.ts'
import { documentName } from '../release/names.ts'
import type { PinnedPrograms } from './program-documents.ts'

const PROGRAM = readFileSync(new URL('../../target/pybundle_target.py', import.meta.url), 'utf8')
const CATCH_UP_SCHEDULE = 'rate(30 minutes)'

export interface TargetDocumentProps {
  fleet: FleetConfig
  bucketName: string
  region: string
  /** The parts of the program that targets read by themselves. */
  programs: PinnedPrograms
}

/**
 * What a fleet's targets can be told to do: the target program as readable source, with the operator's
 * values as literals. Who joins late catches up through the association of the same document.
 */
export class TargetDocument extends Construct {
  readonly name: string
  readonly arn: string

  constructor(scope: Construct, id: string, { fleet, bucketName, region, programs }: TargetDocumentProps) {
    super(scope, id)
    this.name = documentName(fleet.environment, fleet.app)
    this.arn = Stack.of(this).formatArn({ service: 'ssm', resource: 'document', resourceName: this.name })
    const content = documentContent(fleet, {
      ...targetSettings(fleet),
      programs,
      bucket: bucketName,
      region,
      reports: this.#reports(fleet),
    })
    const digest = sha256(JSON.stringify(Stack.of(this).resolve(content))).slice(0, 16)
    const document = new CfnDocument(this, 'Document', {
      name: this.name,
      documentType: 'Command',
      documentFormat: 'JSON',
      targetType: '/AWS::EC2::Instance',
      updateMethod: 'NewVersion',
      // Not as VersionName, which can be used once: CloudFormation could not go back to an earlier content.
      content: {
        ...content,
        description: `Deploys ${fleet.app} to ${fleet.environment} (pybundle-deploy, content ${digest})`,
      },
    })
    new CfnAssociation(this, 'CatchUp', {
      name: document.ref,
      documentVersion: '$LATEST',
      associationName: `${this.name}-catch-up`,
      targets: Object.entries(fleet.tags).map(([key, value]) => ({ key: `tag:${key}`, values: [value] })),
      parameters: { action: ['catch-up'] },
      scheduleExpression: CATCH_UP_SCHEDULE,
      maxConcurrency: '50',
      maxErrors: '100%',
    })
  }

  /** Followed by the instance's own id, what each may write to: see the policy of targets. */
  #reports(fleet: FleetConfig): string {
    const instances = { service: 'ec2', resource: 'instance', arnFormat: ArnFormat.NO_RESOURCE_NAME }
    return reportsFolder(fleet, Stack.of(this).formatArn(instances))
  }
}

/** The operator's values as the program reads them from `PYBUNDLE_CONFIG`. */
function targetSettings(fleet: FleetConfig) {
  return {
    document: documentName(fleet.environment, fleet.app),
    environment: fleet.environment,
    app: fleet.app,
    base: fleet.base,
    user: fleet.user,
    units: fleet.units ?? [],
    restart_command: fleet.restartCommand ?? null,
    env_file: fleet.envFile ?? null,
    installer: fleet.installer,
    health_url: fleet.healthUrl,
    health_seconds: fleet.healthSeconds,
    health_passes: fleet.healthPasses,
    keep_releases: fleet.keepReleases,
    signers: fleet.signers,
  }
}

function documentContent(fleet: FleetConfig, settings: Record<string, unknown>) {
  return {
    schemaVersion: '2.2',
    parameters: Object.fromEntries(
      Object.entries(PARAMETERS).map(([name, { pattern, default: value }]) => [
        name,
        { type: 'String', default: value, allowedPattern: pattern, interpolationType: 'ENV_VAR' },
      ]),
    ),
    mainSteps: [
      {
        action: 'aws:runShellScript',
        name: 'target',
        inputs: { timeoutSeconds: String(commandSeconds(fleet)), runCommand: stepScript(settings) },
      },
    ],
  }
}

/** Agents before 3.3.2746 know no ENV_VAR interpolation and substitute the text. */
function stepScript(settings: Record<string, unknown>): string[] {
  return [
    ...Object.keys(PARAMETERS).flatMap(takeFromText),
    settingsLine(settings),
    "exec python3 -IS -X utf8 /dev/fd/3 3<<'PYBUNDLE_TARGET'",
    ...PROGRAM.trimEnd().split('\n'),
    'PYBUNDLE_TARGET',
  ]
}

/**
 * AWS's own fallback puts the text between double quotes, where the shell would run a `$(...)`; in a quoted
 * here-document nothing is special but its last line. A value of several lines is none that the program takes.
 */
function takeFromText(name: string): string[] {
  const read = `IFS= read -r SSM_${name}; IFS= read -r more && SSM_${name}='several lines'; export SSM_${name}`
  return [
    `if [ -z "\${SSM_${name}+x}" ]; then { ${read}; } <<'PYBUNDLE_PARAMETER'`,
    `{{ ${name} }}`,
    'PYBUNDLE_PARAMETER',
    'fi',
  ]
}

/** Targets read it in the newest version, too: who signs is not up to whoever chooses the version that they run. */
export function settingsLine(settings: Record<string, unknown>): string {
  return `export PYBUNDLE_CONFIG=${quoteForShell(JSON.stringify(settings))}`
}

function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}

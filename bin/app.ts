import { readFileSync } from 'node:fs'
import { App, Validations } from 'aws-cdk-lib'
import { AwsSolutionsChecks } from 'cdk-nag'
import { parseOperatorConfig } from '../lib/config/fleets.ts'
import { PybundleStack } from '../lib/stack/pybundle-stack.ts'
import { refuseLargeTemplate } from '../lib/stack/template-size.ts'
import { UserError } from '../lib/user-error.ts'

const FLEETS_FILE = process.env.PYBUNDLE_FLEETS_FILE ?? 'fleets.toml'

try {
  const app = new App({ outdir: process.env.CDK_OUTDIR ?? 'cdk.out', analyticsReporting: false })
  const { fleets, stack, alerts } = parseOperatorConfig(readFileSync(FLEETS_FILE, 'utf8'), FLEETS_FILE)
  new PybundleStack(app, stack, {
    fleets,
    deployedTo: process.env.CDK_DEFAULT_REGION ?? process.env.AWS_REGION,
    alerts,
    description: 'pybundle-deploy: offline deploys of Python apps',
  })
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app))
  const { stacks } = app.synth()
  for (const { templateFullPath } of stacks) refuseLargeTemplate(templateFullPath, fleets.length)
  const warnings = stacks.flatMap(({ messages }) => messages).filter(({ level }) => level === 'warning')
  // The CDK's own command line tells them itself.
  if (!process.env.CDK_CLI_VERSION) for (const { entry } of warnings) console.error(`Warning: ${entry.data}`)
} catch (error) {
  if (!(error instanceof UserError)) throw error
  console.error(error.message)
  process.exit(1)
}

import { existsSync, readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { addBundleCommands } from '../lib/cli/commands/bundle-commands.ts'
import { addFleetCommands } from '../lib/cli/commands/fleet-commands.ts'
import { addLocalCommand } from '../lib/cli/commands/local-command.ts'
import { addPublishCommands } from '../lib/cli/commands/publish-commands.ts'
import { explainAwsError } from '../lib/cli/explain-aws-error.ts'
import { UserError } from '../lib/user-error.ts'

const MENDABLE = 1
const USAGE = 2
const BUG = 70

const program = new Command('pybundle')
  .description('Deploys Python apps to EC2 fleets from one file that holds every dependency.')
  .version(ownVersion())
  .exitOverride()
  .showHelpAfterError('(--help tells what there is)')
  .addHelpText(
    'after',
    `
The app is the nearest pybundle.toml, or pyproject.toml with [tool.pybundle], at or above where you stand.
Exit codes: 0 done, 1 you can mend it, 2 usage, 3 rolled back, 4 stopped, 70 a bug of pybundle,
130 you left a rollout that goes on.

Examples:
  pybundle publish-release --environment staging     make, upload and roll out what is committed
  pybundle promote --from staging --to production    roll out exactly the bytes that staging runs
  pybundle status --environment production           what runs there, and how the latest rollouts ended`,
  )

addPublishCommands(program)
addBundleCommands(program)
addFleetCommands(program)
addLocalCommand(program)

// Whoever reads has had enough: pybundle status | head
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
  process.exit()
})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = report(explainAwsError(error))
}

/** Of the package, which is one folder up in the checkout and two from the compiled file. */
function ownVersion(): string {
  const files = ['../package.json', '../../package.json'].map((path) => new URL(path, import.meta.url))
  const file = files.find((candidate) => existsSync(candidate))
  return file ? JSON.parse(readFileSync(file, 'utf8')).version : 'unknown'
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE
  if (error instanceof UserError) {
    console.error(error.message)
    return MENDABLE
  }
  console.error(error)
  console.error('This is a bug of pybundle. Please report it with the lines above.')
  return BUG
}

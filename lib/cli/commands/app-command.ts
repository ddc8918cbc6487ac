import type { Command } from 'commander'

/** A command about one app; `--environment` where it is about one environment, too. */
export function appCommand(
  program: Command,
  name: string,
  description: string,
  examples: readonly string[],
): Command {
  return program
    .command(name)
    .description(description)
    .option('--app <path>', "the app's folder, instead of the nearest one")
    .option('--bucket <name>', "another bucket than the environment's")
    .option('--region <name>', "another region than the environment's")
    .option('--profile <name>', 'another profile of the AWS configuration')
    .option('--json', 'the result as JSON on standard output; all else is on standard error')
    .addHelpText('after', `\nExamples:\n${examples.map((example) => `  ${example}`).join('\n')}`)
}

/** commander's own required options are named as missing before an option that is only misspelt. */
export function requiring(command: Command, options: Readonly<Record<string, string>>): Command {
  for (const [flags, description] of Object.entries(options)) command.option(flags, description)
  return command.hook('preAction', () => {
    const missing = Object.keys(options).find((flags) => !command.opts()[flags.replace(/^--(\w+) .*/, '$1')])
    if (missing) command.error(`error: required option '${missing}' not specified`)
  })
}

export const ENVIRONMENT = { '--environment <name>': 'one of [tool.pybundle.environments]' }

/** The action gives the exit code. */
export function runs<Options>(command: Command, action: (options: Options) => Promise<number>): Command {
  return command.action(async (options: Options) => {
    process.exitCode = await action(options)
  })
}

export const FROM = [
  '--from <bundle>',
  'not from the requirements, but from a bundle that is there; one of format 1 (pip bundle) is converted',
] as const
export const UPGRADE = ['--upgrade', 'ask the package index again, though no requirement changed'] as const

import { Command } from 'commander'
import { benchDependencySets } from './dependency-sets.ts'

const program = new Command('bench').description('Measures the real thing. Needs a package index.')

program
  .command('dependency-sets')
  .description('bundles of real dependencies for platforms that this machine is not')
  .option('--output <file>', 'where the table and the raw figures are written')
  .option('--only <text>', 'only sets with this in their name')
  .action(benchDependencySets)

await program.parseAsync()

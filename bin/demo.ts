import { existsSync } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Command, Option } from 'commander'
import { execa } from 'execa'
import { colorsOf } from '../lib/cli/colors.ts'
import { readAppConfig } from '../lib/config/app.ts'
import { UserError } from '../lib/user-error.ts'
import { type Cloud, startCloud } from '../local/cloud.ts'
import { Ledger } from '../local/demo/ledger.ts'
import { firstHour } from '../local/demo/scenario.ts'
import { SshKey, withSigner } from '../local/demo/ssh-key.ts'
import { summaryTable } from '../local/demo/summary.ts'
import { Team } from '../local/demo/team.ts'
import type { SandboxChoice } from '../local/targets/sandbox.ts'

const colors = colorsOf(process.stdout)
const ROOT = resolve(import.meta.dirname, '..')
const DIRECTORY = resolve(ROOT, '.local/demo')
const KEYS = resolve(ROOT, '.local/demo.keys')
const ASSEMBLY = resolve(ROOT, '.local/demo.out')

const {
  keep,
  app: example,
  sandbox,
} = new Command('demo')
  .description("A team's first hour on the local cloud, for real. Exit code 0 only if everything worked.")
  .option('--keep', 'leave everything running and say what to try next', false)
  .option('--app <path>', 'the example to deploy', 'examples/guestbook')
  .addOption(
    new Option('--sandbox <kind>', 'how targets are kept apart')
      .choices(['auto', 'bwrap', 'none'])
      .default('auto'),
  )
  .parse()
  .opts<{ keep: boolean; app: string; sandbox: SandboxChoice }>()

const startedAt = performance.now()
const seconds = () => `${((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)} s`
const say = (line: string) => console.log(`${colors.dim(seconds())}  ${line}`)
const act = (title: string) => console.log(`\n${colors.dim(seconds())} ${colors.bold(colors.cyan(title))}`)

let cloud: Cloud | undefined
let team: Team | undefined

let leaving: Promise<void> | undefined

async function leave(code: number): Promise<never> {
  leaving ??= Promise.all([cloud?.stop(), team?.leave()]).then(() => undefined)
  await leaving
  process.exit(code)
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    if (!leaving) console.log('\nstopping everything that was started')
    void leave(130)
  })
}

try {
  await Team.requireGit()
  act('The stack is synthesized, and the local cloud boots from its template')
  await rm(KEYS, { recursive: true, force: true })
  const ada = await SshKey.make(KEYS, 'ada')
  await synthesize(ada)
  cloud = await startCloud({ assembly: ASSEMBLY, directory: DIRECTORY, port: 0, reset: true, say, sandbox })
  say(`${cloud.url} answers for S3, SSM and Lambda`)

  const { app } = readAppConfig(resolve(ROOT, example))
  const ledger = new Ledger(cloud.env, cloud.bucket)
  team = await Team.start({
    example: resolve(ROOT, example),
    env: cloud.env,
    cache: resolve(DIRECTORY, 'cache'),
    signingKey: ada,
    say,
  })
  const intruder = await SshKey.make(KEYS, 'mallory')
  const rows = await firstHour({ cloud, team, ledger, app, intruder, act, say })

  act('What each target says of itself')
  console.log(summaryTable(rows))
  console.log(colors.green(`Everything held, in ${seconds().trim()}.`))
  if (!keep) await leave(0)
  console.log(nextSteps(cloud, team))
} catch (error) {
  const isExpected = error instanceof UserError || (error instanceof Error && error.name === 'BrokenPromise')
  console.error(colors.red(`\n${isExpected ? (error as Error).message : (error as Error).stack}`))
  await leave(1)
}

/** An example that brings a fleets.toml of its own is deployed by a stack of its own; production's signer is made now. */
async function synthesize(signer: SshKey): Promise<void> {
  const own = resolve(ROOT, example, 'fleets.toml')
  const fleets = await readFile(existsSync(own) ? own : resolve(ROOT, 'fleets.toml'), 'utf8')
  const file = resolve(KEYS, 'fleets.toml')
  await writeFile(file, withSigner(fleets, signer))
  const env = { PYBUNDLE_FLEETS_FILE: file, CDK_OUTDIR: ASSEMBLY }
  await execa(process.execPath, ['bin/app.ts'], { cwd: ROOT, env })
}

function nextSteps({ url }: Cloud, { repository }: Team): string {
  return [
    '',
    'Everything is left running; Ctrl-C stops it. In another terminal, try:',
    `  . ${DIRECTORY}/env    # points any AWS client at ${url}`,
    `  npm run status -- --environment production --app ${resolve(ROOT, example)}`,
    `  cd ${repository}        # the team's repository: change something, commit it, and`,
    `  npm --prefix ${ROOT} run publish-release -- --environment staging`,
    '  aws s3 ls --recursive s3://$PYBUNDLE_BUCKET            # with any S3 client',
  ].join('\n')
}

import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import type { RolloutRecord } from '../../lib/release/record.ts'
import type { State } from '../../lib/release/state.ts'
import { writeFileAtomically } from '../../local/atomic-file.ts'
import type { CloudTarget } from '../../local/cloud.ts'
import { eventually } from '../../local/demo/acceptance.ts'
import { Ledger } from '../../local/demo/ledger.ts'
import { TargetDisk } from './on-disk.ts'
import { ROOT, type TeamAtWork, type TeamOptions, teamAtWork } from './team-at-work.ts'

/** A fleet's table as the checkout's own `fleets.toml` has it, with another policy. */
export function fleetTable(environment: string, policy: string): string {
  return `[environments.${environment}.guestbook]
tags = { app = "guestbook", environment = "${environment}" }
user = "guestbook"
restart_command = "supervisor restart"
env_file = "/opt/pybundle/guestbook/shared/.env"
health_url = "http://\${LISTEN}"
signers = "off"
health_seconds = 8
${policy}
`
}

/**
 * A team whose guestbook is as slow as a target's env file says: PREPARE_PAUSE, START_PAUSE; MIGRATE_PAUSE is
 * for the app. Each migration leaves a line in the fleet's shared folder.
 */
export async function slowTeam(options: TeamOptions) {
  const team = await teamAtWork(options)
  await slowDown(team, '0')
  await team.commit('slow where it is told to be')
  const scope = (environment: string) => ({ environment, app: 'guestbook' })
  const ledger = () => new Ledger(team.cloud.env, team.cloud.bucket)
  const publish = (environment = 'staging', ...args: string[]) =>
    team.pybundle('publish-release', '--environment', environment, ...args)
  const status = async (environment = 'staging') =>
    JSON.parse((await team.pybundle('status', '--environment', environment, '--json')).stdout as string)
  const records = (environment = 'staging') => ledger().records(scope(environment))
  const latest = async (environment = 'staging') => {
    const [record] = await records(environment)
    if (!record) throw new Error(`nothing was ever asked of ${environment}`)
    return record
  }
  return {
    ...team,
    publish,
    records,
    latest,
    state: async (environment = 'staging'): Promise<State> => (await status(environment)).state,
    /** Another code archive each time. */
    async change(what: string = randomUUID()) {
      await team.write('NEWS.md', what)
      await team.commit('news')
    },
    /** Publishes without waiting for the end; the new rollout's record can be waited for on its way. */
    async begin(environment = 'staging') {
      const known = (await records(environment)).length
      const record = (what: string, isAsWanted: (record: RolloutRecord) => boolean, seconds = 90) =>
        eventually(what, seconds, async () => {
          const [newest, ...others] = await records(environment)
          if (newest && others.length === known && isAsWanted(newest)) return newest
          throw new Error(JSON.stringify(newest))
        })
      return { published: publish(environment), record }
    },
    migrateSlowly: (seconds: number) => slowDown(team, String(seconds)),
    async takeRevision(number: number) {
      await cp(join(ROOT, 'examples/guestbook/revisions', String(number)), team.app, { recursive: true })
      await slowDown(team, '0')
      await team.commit(`revision ${number}`)
    },
    migrations(environment = 'staging'): string[] {
      const log = join(
        team.directory,
        'cloud/shared',
        `${environment}-guestbook`,
        'database.sqlite3.migrations',
      )
      return existsSync(log) ? readFileSync(log, 'utf8').trim().split('\n') : []
    },
  }
}

export type SlowTeam = Awaited<ReturnType<typeof slowTeam>>

async function slowDown({ app, write }: TeamAtWork, migratePause: string): Promise<void> {
  const migrate = `echo begun >>\\"$DATABASE.migrations\\"; sleep ${migratePause}; python -m guestbook migrate`
  const config = readFileSync(join(app, 'pyproject.toml'), 'utf8')
    .replace(
      /^prepare_command = .*$/m,
      `prepare_command = "sleep \${PREPARE_PAUSE:-0}; python -m guestbook check"`,
    )
    .replace(/^migrate_command = .*$/m, () => `migrate_command = "${migrate}"`)
  await write('pyproject.toml', config)
  const web = `sleep \${START_PAUSE:-0}; exec mini-server guestbook.app:application`
  await write('Procfile', `web: sh -c '${web}'\n`)
}

/** For the app and its hooks on this target; it is written anew when the target starts again. */
export function tell(team: TeamAtWork, target: CloudTarget, lines: Record<string, string>): void {
  const file = join(new TargetDisk(team, target).home, 'shared/.env')
  const kept = readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line && !((line.split('=')[0] ?? '') in lines))
  const told = Object.entries(lines).map(([name, value]) => `${name}=${value}`)
  writeFileAtomically(file, `${[...kept, ...told].join('\n')}\n`)
}

/** As if it had been off for so long that its association is due again. */
export function letTimePass(team: TeamAtWork, target: CloudTarget): void {
  const folder = join(new TargetDisk(team, target).root, 'var/lib/amazon/ssm', target.instanceId)
  const file = join(folder, 'associations.json')
  const runs = JSON.parse(readFileSync(file, 'utf8')) as Record<string, { at: number }>
  for (const run of Object.values(runs)) run.at -= 3600_000
  writeFileSync(file, JSON.stringify(runs))
}

import { existsSync, globSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { GetObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { expect } from 'vitest'
import type { RolloutRecord } from '../../lib/release/record.ts'
import type { CloudTarget } from '../../local/cloud.ts'
import { askApp } from '../../local/demo/acceptance.ts'
import type { TeamAtWork } from './team-at-work.ts'

/** What a target holds, as the machine that it runs on sees it. */
export class TargetDisk {
  readonly root: string
  readonly home: string

  constructor(team: TeamAtWork, { instanceId }: Pick<CloudTarget, 'instanceId'>) {
    this.root = join(team.directory, 'cloud', 'targets', instanceId, 'root')
    this.home = join(this.root, 'opt/pybundle/guestbook')
  }

  /** Undefined where nothing was ever activated. */
  current(): string | undefined {
    const link = join(this.home, 'current')
    return existsSync(link) ? readlinkSync(link).replace(/^releases\//, '') : undefined
  }

  /** Releases that are marked as prepared. */
  prepared(): string[] {
    return globSync('releases/*/.pybundle-release.json', { cwd: this.home }).map(
      (file) => file.split('/')[1] ?? '',
    )
  }
}

/** The app serves the release, and the target's disk has all of it. */
export async function expectServes(
  team: TeamAtWork,
  targets: readonly CloudTarget[],
  release: string,
): Promise<void> {
  for (const target of targets) {
    expect(await askApp(target.url), target.instanceId).toMatchObject({ release, status: 'ok' })
    expectWhole(new TargetDisk(team, target), release)
  }
}

/** `current`, its mark, its virtualenv and the wheels that this is made of; no mark on anything that lacks some. */
export function expectWhole(disk: TargetDisk, release: string): void {
  expect(disk.current()).toBe(release)
  expect(disk.prepared()).toContain(release)
  for (const prepared of disk.prepared()) {
    const folder = join(disk.home, 'releases', prepared)
    const { release: named, venv } = readJson(join(folder, '.pybundle-release.json'))
    expect([named, readlinkSync(join(folder, '.venv'))]).toEqual([prepared, `../../venvs/${venv}`])
    const { wheels } = readJson(join(disk.home, 'venvs', venv, '.ready'))
    const missing = wheels.filter(
      (wheel: string) => !existsSync(join(disk.home, 'wheels', wheel, 'plan.json')),
    )
    expect(missing, prepared).toEqual([])
  }
}

const readJson = (file: string) => JSON.parse(readFileSync(file, 'utf8'))

/** The whole output of what failed on a target, from the bucket. */
export async function reportOf(
  { cloud }: TeamAtWork,
  { targets }: RolloutRecord,
  target: string,
  action: string,
): Promise<string> {
  const key = targets[target]?.[action]?.report
  if (!key) throw new Error(`${target} has sent no report of ${action}: ${JSON.stringify(targets[target])}`)
  const { Body } = await bucketClient(cloud).send(new GetObjectCommand({ Bucket: cloud.bucket, Key: key }))
  return (await Body?.transformToString()) ?? ''
}

export function bucketClient({ env }: Pick<TeamAtWork['cloud'], 'env'>): S3Client {
  return new S3Client({
    endpoint: env.AWS_ENDPOINT_URL ?? '',
    region: env.AWS_REGION ?? '',
    credentials: {
      accessKeyId: env.AWS_ACCESS_KEY_ID ?? '',
      secretAccessKey: env.AWS_SECRET_ACCESS_KEY ?? '',
    },
  })
}

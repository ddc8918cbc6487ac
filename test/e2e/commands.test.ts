import { mkdir, readdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { PutObjectCommand, S3Client } from '@aws-sdk/client-s3'
import { execa } from 'execa'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askApp, eventually } from '../../local/demo/acceptance.ts'
import { ROOT, type TeamAtWork, teamAtWork } from './team-at-work.ts'

let team: TeamAtWork

beforeAll(async () => {
  team = await teamAtWork({ targets: 1 })
}, 60_000)
afterAll(() => team?.close())

const served = () => askApp(team.fleet[0]?.url ?? '')
const status = async () =>
  JSON.parse((await team.pybundle('status', '--environment', 'staging', '--json')).stdout as string)

describe('the commands', () => {
  it('say what to do first, where nothing was deployed yet', async () => {
    const { exitCode, all } = await team.pybundle('publish-code', '--environment', 'staging')
    expect(all).toContain('publish-release --environment staging')
    expect(exitCode).toBe(1)
  })

  it('publish a release that the target then serves', async () => {
    const { exitCode, all } = await team.pybundle('publish-release', '--environment', 'staging')
    expect(all).toContain('is live')
    expect(exitCode).toBe(0)
    expect(await served()).toMatchObject({
      status: 'ok',
      migration: 1,
      release: (await status()).state.current.release,
    })
  })

  it('publish code alone, with the bundle that runs, through npm from a subfolder of the repository', async () => {
    const { bundle } = (await status()).state.current
    await team.write('NEWS.md', 'a change of code')
    await team.commit('second')
    const folder = join(team.app, 'guestbook')
    const args = ['--prefix', ROOT, 'run', 'publish-code', '--', '--environment', 'staging']
    const { exitCode } = await team.run('npm', args, { cwd: folder })
    expect(exitCode).toBe(0)
    const { current } = (await status()).state
    expect(current.bundle).toBe(bundle)
    expect((await served()).release).toBe(current.release)
  })

  it('publish a bundle alone, with the code that runs', async () => {
    const { code } = (await status()).state.current
    await team.write(
      'requirements.txt',
      './vendor/mini-router\n./vendor/mini-server\n./vendor/mini-sqlite\n./vendor/mini-migrate\n./vendor/mini-html\n# once more\n',
    )
    const { exitCode, all } = await team.pybundle('publish-bundle', '--environment', 'staging')
    expect(all).toContain('is live')
    expect(exitCode).toBe(0)
    expect((await status()).state.current.code).toBe(code)
  })

  it('do nothing twice: the same release again is there in a blink', async () => {
    const { exitCode, all } = await team.pybundle('publish-release', '--environment', 'staging', '--dirty')
    expect(exitCode).toBe(0)
    expect(all).toMatch(/Reusing bundle/)
  })

  it('refuse an unknown environment before anything is uploaded', async () => {
    const { exitCode, all } = await team.pybundle('publish-release', '--environment', 'stagign')
    expect(all).toMatch(/unknown environment "stagign".*staging/s)
    expect(exitCode).toBe(1)
  })

  it('say what is wrong with usage, with exit code 2', async () => {
    expect((await team.pybundle('publish-release')).exitCode).toBe(2)
    expect((await team.pybundle('publish-relaese')).exitCode).toBe(2)
  })

  it('show a foreign file dropped as a bundle as refused, and no target has heard of it', async () => {
    const before = await served()
    const { AWS_ENDPOINT_URL: endpoint = '', AWS_REGION: region = '', ...keys } = team.cloud.env
    const credentials = {
      accessKeyId: keys.AWS_ACCESS_KEY_ID ?? '',
      secretAccessKey: keys.AWS_SECRET_ACCESS_KEY ?? '',
    }
    const s3 = new S3Client({ endpoint, region, credentials })
    const Key = 'staging/guestbook/bundles/holiday.pybundle'
    await s3.send(new PutObjectCommand({ Bucket: team.cloud.bucket, Key, Body: 'GIF89a' }))
    const refused = await eventually('the refusal', 20, async () => {
      const { all } = await team.pybundle('status', '--environment', 'staging')
      return String(all).includes('refused') ? String(all) : undefined
    })
    expect(refused).toContain('holiday.pybundle')
    expect(await served()).toEqual(before)
  })

  it('work from the tarball of npm pack, installed in the app’s own repository', async () => {
    const modules = join(team.directory, 'packed', 'node_modules')
    await installPacked(modules)
    const packed = join(modules, 'pybundle-deploy', 'bin', 'pybundle.mjs')
    const { exitCode, all } = await team.run('node', [packed, 'status', '--environment', 'staging'])
    expect(all).toContain('guestbook in staging')
    expect(exitCode).toBe(0)
    const published = await team.run('node', [
      packed,
      'publish-release',
      '--environment',
      'staging',
      '--dirty',
    ])
    expect(published.all).toContain('is live')
    const local = await team.run('node', [packed, 'local'])
    expect([local.exitCode, local.all]).toEqual([1, expect.stringContaining('checkout')])
  }, 120_000)
})

/** As npm would, with the dependencies that are on this machine: there is no registry in this test. */
async function installPacked(modules: string): Promise<void> {
  await mkdir(modules, { recursive: true })
  const { stdout } = await execa('npm', ['pack', '--json', '--pack-destination', modules], { cwd: ROOT })
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[')))
  await execa('tar', ['-xzf', filename], { cwd: modules })
  await execa('mv', ['package', 'pybundle-deploy'], { cwd: modules })
  for (const name of await readdir(join(ROOT, 'node_modules'))) {
    if (!name.startsWith('.') && name !== 'pybundle-deploy') {
      await symlink(join(ROOT, 'node_modules', name), join(modules, name))
    }
  }
}

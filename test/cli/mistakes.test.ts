import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { startBucket } from './bucket.ts'
import { pybundle, teamRepository } from './team.ts'

const PUBLISH = ['publish-release', '--environment', 'staging', '--detach']

describe('a mistake', () => {
  it.each([
    [['publish-release'], "error: required option '--environment <name>' not specified"],
    [['publish'], "error: unknown command 'publish'"],
    [['status', '--environment', 'staging', '--verbos'], "error: unknown option '--verbos'"],
  ])('of usage ends with 2: %j', async (args, message) => {
    const { code, out, err } = await pybundle(temporaryFolder(), args)
    expect([code, out, err.split('\n')[0]]).toEqual([2, '', message])
  })

  it('in the environment is answered with those that there are', async () => {
    const { folder } = await teamRepository()
    const { code, err } = await pybundle(folder, ['publish-release', '--environment', 'stagin'])
    expect([code, err]).toEqual([
      1,
      `unknown environment "stagin"; ${join(folder, 'pybundle.toml')} knows staging, production.`,
    ])
  })

  it('in the configuration is told with file and key, all at once', async () => {
    const { folder } = await teamRepository()
    writeFileSync(join(folder, 'pybundle.toml'), 'ap = "shop"\nplatform = "this-machine"\n')
    const { code, err } = await pybundle(folder, PUBLISH)
    expect([code, err.split('\n')]).toEqual([
      1,
      [
        `${join(folder, 'pybundle.toml')}: 2 mistakes`,
        "app: is missing; must be the app's name",
        'ap: unknown key; did you mean "app"?',
      ],
    ])
  })

  it('is found before anything is uploaded: no requirements, unparsable ones', async () => {
    const [bucket, repository] = [await startBucket(), await teamRepository()]
    writeFileSync(join(repository.folder, 'requirements.txt'), 'flask\n???\n')
    await repository.commit()
    const unparsable = await pybundle(repository.folder, PUBLISH, bucket.env)
    expect(unparsable).toMatchObject({ code: 1, err: 'requirements.txt:2: "???" is not a requirement' })
    rmSync(join(repository.folder, 'requirements.txt'))
    await repository.commit()
    const absent = await pybundle(repository.folder, PUBLISH, bucket.env)
    expect(absent).toMatchObject({ code: 1, err: expect.stringMatching(/^no requirements file /) })
    expect(await bucket.keys()).toEqual([])
  })

  it('in the credentials, the bucket or the region is told as such', async () => {
    const [bucket, { folder }] = [await startBucket(), await teamRepository()]
    const status = async (env: Record<string, string>, ...more: string[]) => {
      const args = ['status', '--environment', 'staging', ...more]
      const { code, err } = await pybundle(folder, args, { ...bucket.env, ...env })
      return `${code} ${err}`
    }
    expect(await status({ AWS_SECRET_ACCESS_KEY: 'x' })).toMatch(/^1 AWS: the secret access key is wrong/)
    expect(await status({ AWS_ACCESS_KEY_ID: 'x' })).toMatch(/^1 AWS: AWS does not know this access key/)
    expect(await status({}, '--bucket', 'other')).toMatch(/^1 AWS: there is no such bucket.*"other"\)\.$/m)
    expect(await status({}, '--region', 'us-east-1')).toMatch(/^1 AWS: the bucket is in another region/)
    expect(await status({ AWS_ENDPOINT_URL: 'http://127.0.0.1:9' })).toMatch(/^1 AWS: nothing answers there/)
  })
})

describe('the tool', () => {
  it.each([[['--help']], [['publish-code', '--help']], [['status', '--help']]])(
    'explains itself: %j',
    async (args) => {
      const { code, out } = await pybundle(temporaryFolder(), args)
      expect(code).toBe(0)
      expect(out).toMatch(/Examples:\n {2}pybundle /)
    },
  )

  it('shows an environment in which nothing was deployed', async () => {
    const [bucket, { folder }] = [await startBucket(), await teamRepository()]
    const { code, out } = await pybundle(folder, ['status', '--environment', 'staging'], bucket.env)
    expect([code, out.split('\n').slice(0, 2)]).toEqual([
      0,
      ['shop in staging', 'current   nothing deployed yet'],
    ])
  })
})

import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { execa } from 'execa'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { startBucket } from './bucket.ts'
import { pybundle, teamRepository } from './team.ts'

const ROOT = resolve(import.meta.dirname, '../..')
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

  it.each([
    [['status', '--environmen', 'staging'], '--environmen', '--environment'],
    [['publish-release', '--enviroment', 'staging'], '--enviroment', '--environment'],
    [['promote', '--form', 'staging', '--to', 'production'], '--form', '--from'],
  ])('in the name of an option that is needed is answered with its name: %j', async (args, given, meant) => {
    const { code, err } = await pybundle(temporaryFolder(), args)
    expect([code, err.split('\n').slice(0, 2)]).toEqual([
      2,
      [`error: unknown option '${given}'`, `(Did you mean ${meant}?)`],
    ])
  })

  it('in the name of a profile is answered with it, and with those that there are', async () => {
    const [bucket, { folder }, home] = [await startBucket(), await teamRepository(), temporaryFolder()]
    const status = async (env: Record<string, string>, ...more: string[]) =>
      pybundle(folder, ['status', '--environment', 'staging', ...more], { ...bucket.env, HOME: home, ...env })
    const files = `${home}/.aws/config or ${home}/.aws/credentials`
    expect(await status({}, '--profile', 'nobody')).toMatchObject({
      code: 1,
      err: `no AWS profile "nobody" in ${files}: aws configure makes one.`,
    })
    mkdirSync(join(home, '.aws'))
    writeFileSync(join(home, '.aws/config'), '[default]\n[profile staging]\nregion = eu-central-1\n')
    writeFileSync(
      join(home, '.aws/credentials'),
      `[ops]\naws_access_key_id = ${bucket.env.AWS_ACCESS_KEY_ID}\naws_secret_access_key = ${bucket.env.AWS_SECRET_ACCESS_KEY}\n`,
    )
    expect(await status({ AWS_PROFILE: 'nobody' })).toMatchObject({
      code: 1,
      err: `no AWS profile "nobody" in ${files}: they have default, staging, ops.`,
    })
    expect(await status({}, '--profile', 'ops')).toMatchObject({ code: 0 })
    const none = { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '', AWS_EC2_METADATA_DISABLED: 'true' }
    for (const { code, err } of [
      await status(none, '--profile', 'staging'),
      await status({ ...none, AWS_PROFILE: 'staging' }),
    ])
      expect(`${code} ${err}`).toMatch(/^1 AWS: no AWS credentials: .* \(profile "staging": /)
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
  it('has an npm script for each of its commands', async () => {
    const { out } = await pybundle(temporaryFolder(), ['--help'])
    const [, listed = ''] = out.match(/\nCommands:\n([\s\S]*?)\n\n/) ?? []
    const commands = [...listed.matchAll(/^ {2}(\S+)/gm)].map(([, name = '']) => name)
    const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
    expect(commands).toContain('publish-release')
    for (const name of commands.filter((each) => each !== 'help'))
      expect(scripts).toHaveProperty([name], `node bin/pybundle.ts ${name}`)
  })

  it('says what to do where Node is too old', async () => {
    const old = 'Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.1.0"}})'
    const args = [`--import=data:text/javascript,${old}`, join(ROOT, 'bin/pybundle.mjs'), 'status']
    const { exitCode, stderr } = await execa('node', args, { reject: false })
    expect([exitCode, stderr]).toEqual([
      1,
      `pybundle needs Node 22.18 or later, and this is 20.1.0: npm ci installs one in the checkout, and npm uses it: npm --prefix ${ROOT} run COMMAND -- OPTIONS`,
    ])
  })

  it('has a demo that names git where there is none, before anything is begun', async () => {
    const { exitCode, all } = await execa(process.execPath, [join(ROOT, 'bin/demo.ts')], {
      all: true,
      env: { PATH: temporaryFolder() },
      reject: false,
    })
    expect([exitCode, all?.trim()]).toEqual([
      1,
      'The demo commits and publishes as a team would: it needs git on the PATH. Install it.',
    ])
  })

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

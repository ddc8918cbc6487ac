import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { APP, archive, pathsIn } from './archived.ts'
import { writeFiles } from './files.ts'
import { Repository } from './repository.ts'

const KEY = '-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSSH PRIVATE KEY-----\n'
const CERTIFICATE = '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n'

function folderWith(files: Record<string, string>): string {
  const folder = temporaryFolder()
  writeFiles(folder, { ...APP, ...files })
  return folder
}

describe('secrets', () => {
  it.each([
    ['.env', 'PASSWORD=x\n'],
    ['deploy/.env.production', 'PASSWORD=x\n'],
    ['prod.env', 'PASSWORD=x\n'],
    ['keys/id_ed25519', ''],
    ['server.pem', KEY.replace('OPENSSH ', '')],
    ['.envrc', 'export PASSWORD=x\n'],
    ['deploy/home/.aws/credentials', ''],
    ['key.yaml', `key: |\n${KEY.replace(/^/gm, '  ')}`],
    ['account.json', JSON.stringify({ private_key: KEY })],
    ['windows.pem', KEY.replaceAll('\n', '\r\n')],
    ['old.pem', '-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n'],
    ['settings/keys.py', `KEY = """\n${KEY}"""\n`],
    ['store.p12', ''],
    ['.pypirc', ''],
  ])('in %s are refused', async (path, content) => {
    await expect(archive(folderWith({ [path]: content }))).rejects.toThrow(`\n  ${path}\n`)
  })

  it.each([
    ['.env.example', 'PASSWORD=\n'],
    ['.env.production.example', 'PASSWORD=\n'],
    ['docs/keys.md', '-----BEGIN PRIVATE KEY-----\nMIIE...\n-----END PRIVATE KEY-----\n'],
    ['key.pub', '-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEF\n'],
    ['certificates/rds.pem', CERTIFICATE],
    ['id_ed25519.pub', 'ssh-ed25519 AAAA'],
    ['environment.py', 'KEY = "-----BEGIN PRIVATE KEY-----"\n'],
  ])('are not what is in %s', async (path, content) => {
    expect(await pathsIn((await archive(folderWith({ [path]: content }))).file)).toContain(path)
  })

  it('that are committed are refused too, all at once, with what to do', async () => {
    const { folder } = await Repository.with({ ...APP, '.env': '', 'keys/host.key': KEY })
    await expect(archive(folder)).rejects.toThrow(
      'passwords or private keys would be published with the code:\n  .env\n  keys/host.key\nLeave them out with "exclude" in pybundle.toml; what is none, or is meant to be there, name in "include_secrets" (include_secrets = ["/.env"]).',
    )
  })

  it('that git-crypt keeps are refused, as no target could read them', async () => {
    const { folder } = await Repository.with({ ...APP, 'settings/secret.py': '\0GITCRYPT\0\x01\x02\x03' })
    await expect(archive(folder)).rejects.toThrow(
      '"settings/secret.py" is encrypted by git-crypt in the commit',
    )
  })

  it('that are named or excluded are not refused', async () => {
    const folder = folderWith({ '.env': '', 'tests/test.key': KEY })
    const { file } = await archive(folder, { exclude: ['/.env'], includeSecrets: ['/tests/*.key'] })
    expect(await pathsIn(file)).toEqual(['pybundle.toml', 'shop.py', 'tests/test.key'])
  })
})

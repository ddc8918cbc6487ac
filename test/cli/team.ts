import { join } from 'node:path'
import { execa } from 'execa'
import { writePackage } from '../bundle/local-package.ts'
import { temporaryFolder } from '../bundle/temporary-folder.ts'
import { Repository } from '../code/repository.ts'

const CLI = new URL('../../bin/pybundle.mjs', import.meta.url).pathname

export async function teamRepository(): Promise<Repository> {
  const repository = await Repository.with({
    'pybundle.toml':
      'app = "shop"\nplatform = "this-machine"\n[environments.staging]\nbucket = "artifacts"\n[environments.production]\nbucket = "artifacts"\n',
    'shop.py': 'print("shop")\n',
    'requirements.txt': './vendor/alpha\n',
    'views/index.html': '',
  })
  writePackage(join(repository.folder, 'vendor/alpha'), { name: 'alpha' })
  await repository.commit()
  return repository
}

/** Starts the tool as npm does: from its own folder, the user's in INIT_CWD. */
export function startPybundle(
  cwd: string,
  args: readonly string[],
  env: Record<string, string | undefined> = {},
) {
  const machine = {
    HOME: temporaryFolder(),
    PIP_NO_INDEX: '1',
    PIP_FIND_LINKS: undefined,
    AWS_PROFILE: undefined,
  }
  return execa('node', [CLI, ...args], {
    cwd: '/',
    env: { ...machine, INIT_CWD: cwd, ...env },
    reject: false,
    stdin: 'ignore',
  })
}

export async function pybundle(...started: Parameters<typeof startPybundle>) {
  const { exitCode, stdout, stderr } = await startPybundle(...started)
  return { code: exitCode, out: stdout, err: stderr }
}

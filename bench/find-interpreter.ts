import { globSync } from 'node:fs'
import { execaSync } from 'execa'

/** On the PATH, or among those that pyenv keeps. */
export function findInterpreter(version: string): string | undefined {
  const kept = process.env.PYENV_ROOT
    ? globSync(`${process.env.PYENV_ROOT}/versions/${version}.*/bin/python${version}`)
    : []
  return [`python${version}`, ...kept].find(
    (python) => execaSync(python, ['-I', '-c', 'import venv'], { reject: false }).exitCode === 0,
  )
}

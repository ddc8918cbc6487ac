/** One wheel of a bundle, as the lock files name it. */
export interface LockedWheel {
  file: string
  name: string
  version: string
  sha256: string
  size: number
}

/** For any pip: `pip install --require-hashes --no-index --find-links wheels -r requirements.txt`. */
export function formatRequirements(wheels: readonly LockedWheel[]): string {
  return wheels
    .map(({ name, version, sha256 }) => `${name}==${version} --hash=sha256:${sha256}\n`)
    .sort()
    .join('')
}

/** PEP 751. Only paths: where a wheel came from is nothing that a target could reach. */
export function formatPylock(wheels: readonly LockedWheel[], python: string): string {
  const packages = [...wheels].sort((a, b) => (a.name < b.name ? -1 : 1)).map(formatPackage)
  return [
    'lock-version = "1.0"',
    'created-by = "pybundle"',
    `requires-python = "==${python}.*"`,
    'packages = []'.repeat(packages.length === 0 ? 1 : 0),
    ...packages,
  ]
    .filter(Boolean)
    .join('\n')
    .concat('\n')
}

function formatPackage({ file, name, version, sha256, size }: LockedWheel): string {
  return `
[[packages]]
name = ${JSON.stringify(name)}
version = ${JSON.stringify(version)}

[[packages.wheels]]
path = ${JSON.stringify(`wheels/${file}`)}
size = ${size}
hashes = { sha256 = "${sha256}" }`
}

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { findPython, type Python } from '../lib/bundle/find-python.ts'
import { describePlatform } from '../lib/bundle/platform.ts'
import { makeRepositories } from './local-repositories.ts'
import { type Measured, measureSet } from './measure-set.ts'
import { dependencySets, PLATFORMS } from './sets.ts'

export interface BenchOptions {
  /** A file for the table and the figures. */
  output?: string
  /** Only what has this in its name. */
  only?: string
}

/** Real bundles of real dependencies, for platforms that this machine is not: what comes of it, how large, how fast. */
export async function benchDependencySets({ output, only = '' }: BenchOptions): Promise<void> {
  forgetWhatIsNear()
  const laptop = await findPython()
  const folder = mkdtempSync(join(tmpdir(), 'pybundle-repositories-'))
  const rows: Measured[] = []
  try {
    const sets = dependencySets(await makeRepositories(folder, laptop))
    for (const set of sets.filter(({ name }) => name.includes(only))) {
      for (const platform of PLATFORMS) {
        console.error(`${set.name}, ${platform.name}, Python ${platform.python}`)
        rows.push(await measureSet(set, platform, laptop))
        if (output) writeFileSync(output, report(rows, laptop))
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
  console.log(report(rows, laptop, { withFigures: false }))
}

/** An index is what is measured: not a folder of wheels, nor what an earlier run left. */
function forgetWhatIsNear(): void {
  for (const name of ['PIP_FIND_LINKS', 'PIP_NO_INDEX', 'PIP_CACHE_DIR', 'UV_CACHE_DIR']) {
    delete process.env[name]
  }
}

function report(rows: readonly Measured[], laptop: Python, { withFigures = true } = {}): string {
  const notes = rows.flatMap(({ why }) => why ?? [])
  const distinct = [...new Set(notes.filter((why) => why.length > SHORT))]
  return [
    heading(rows, laptop),
    '',
    '| set | platform | wheels | bundle | first | again | reused | |',
    '|---|---|---:|---:|---:|---:|---:|---|',
    ...rows.map((row) => tableRow(row, distinct)),
    '',
    ...distinct.map((why, index) => `${index + 1}. ${why.replaceAll('\n', '\n   ')}`),
    ...(withFigures ? ['', '```json', JSON.stringify(rows, null, 1), '```'] : []),
    '',
  ].join('\n')
}

function heading(rows: readonly Measured[], laptop: Python): string {
  const isOnline = rows.some(({ isCutOff }) => isCutOff === false)
  return [
    `Made with CPython ${laptop.version} on ${describePlatform(laptop.platform)}; ${availableParallelism()} cores; ${resolverOf(rows)}.`,
    'Nothing is cached at first; "again" is with `--upgrade` and the downloads of before.',
    'The repositories are of this machine, with the sources of real releases.',
    `Installed with plain \`python -m venv --without-pip\` and the bundle's own pip, without ${isOnline ? 'an index' : 'any network'};`,
    '`pip check` passed, and the packages were used.',
  ].join(' ')
}

/** What fits into a table. */
const SHORT = 60

function tableRow(row: Measured, notes: readonly string[]): string {
  const { set, platform, wheels, bytes, firstSeconds, againSeconds, reusedSeconds } = row
  const where = `${platform.difference}: ${platform.name}, Python ${platform.python}`
  const size = bytes === undefined ? '' : `${(bytes / 1e6).toFixed(1)} MB`
  const times = [firstSeconds, againSeconds, reusedSeconds].map(seconds)
  return `| ${[set, where, wheels?.length ?? '', size, ...times, outcomeOf(row, notes)].join(' | ')} |`
}

function outcomeOf(row: Measured, notes: readonly string[]): string {
  const { isResolved, isVerified, isInstalled, installSeconds, why = '' } = row
  const steps = [
    isResolved && 'resolved',
    isVerified && 'verified',
    row.isSameAgain === false && 'but another bundle again',
    isInstalled && `installed in ${seconds(installSeconds)} and imported`,
  ]
  const note = notes.indexOf(why) + 1
  const reason = note > 0 ? `see ${note}` : why
  const end = isInstalled ? [] : [`${isVerified ? 'not installed' : 'refused'}: ${reason}`]
  return [...steps.filter(Boolean), ...end].join(', ')
}

function resolverOf(rows: readonly Measured[]): string {
  return rows.some(({ news }) => news.includes('versions chosen by uv'))
    ? 'versions chosen by uv'
    : 'pip alone'
}

function seconds(value: number | undefined): string {
  return value === undefined ? '' : `${value.toFixed(1)} s`
}

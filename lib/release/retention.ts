import type { PinnedObject, ReleaseRecord } from './release.ts'
import type { State } from './state.ts'

/** By this tag, and by nothing else, the bucket's lifecycle removes bundles and code. */
export const RETIRED_TAG = 'pybundle-retired'
export const RETIRED = 'yes'

/** Of one rollout; the next one goes on. */
const MOST_AT_ONCE = 10

/** Whatever targets may be told to become without somebody publishing it again. */
export function neededReleases(state: State, keepReleases: number): Set<string> {
  const { current, previous, desired, migration, kept } = state
  const good = state.good.filter(({ release }) => !state.failed.includes(release))
  const named = [current, previous, desired, migration, ...good.slice(0, keepReleases)]
  return new Set([...named.flatMap((one) => one?.release ?? []), ...kept.slice(0, keepReleases)])
}

export interface Plan {
  /** The oldest first. */
  retire: string[]
  /** What they share with these stays. */
  stay: string[]
  /** Whatever is needed, lest it be tagged: a rollback that fails what it leaves makes one of before the one to go back to. */
  revive: string[]
}

export function planRetirement(state: State, keepReleases: number): Plan {
  const needed = neededReleases(state, keepReleases)
  const retire = state.kept
    .filter((release) => !needed.has(release))
    .reverse()
    .slice(0, MOST_AT_ONCE)
  const stay = new Set([...needed, ...state.kept.filter((release) => !retire.includes(release))])
  return {
    retire,
    stay: [...stay],
    // Also what is kept: a rollout that died, or was throttled, may have tagged some of it.
    revive: [...needed],
  }
}

export interface Known {
  retire: readonly ReleaseRecord[]
  stay: readonly ReleaseRecord[]
  /** Keys that waiting requests name: which version they will be pinned at is not known yet. */
  asked: ReadonlySet<string>
}

/** What is tagged: no version of anything that a release that stays is made of, and nothing that somebody waits for. */
export function chooseRetired({ retire, stay, asked }: Known): {
  releases: string[]
  artifacts: PinnedObject[]
} {
  const isAsked = (release: ReleaseRecord) => artifactsOf(release).some(({ key }) => asked.has(key))
  const going = retire.filter((release) => !isAsked(release))
  const staying = new Set([...stay, ...retire.filter(isAsked)].flatMap(artifactsOf).map(place))
  const gone = going.flatMap(artifactsOf).filter((artifact) => !staying.has(place(artifact)))
  return {
    releases: going.map(({ release }) => release),
    artifacts: [...new Map(gone.map((artifact) => [place(artifact), artifact])).values()],
  }
}

/** What was done about releases. */
export interface Retirement {
  retired: string[]
  revived: string[]
}

export function noteRetirement(state: State, { retired, revived }: Retirement): State {
  const kept = state.kept.filter((release) => !retired.includes(release))
  return { ...state, kept: [...kept, ...revived.filter((release) => !kept.includes(release))] }
}

/** Undefined where there is nothing to be changed. */
export function withRetiredTag(tags: Record<string, string>, isRetired: boolean) {
  if ((tags[RETIRED_TAG] === RETIRED) === isRetired) return undefined
  const { [RETIRED_TAG]: _, ...others } = tags
  return isRetired ? { ...others, [RETIRED_TAG]: RETIRED } : others
}

/** Not a working tree, nor an archive that somebody packed. */
const COMMIT = /^[0-9a-f]{7,64}$/

export function expired(
  { release, revision }: ReleaseRecord,
  { key }: PinnedObject,
  environment: string,
): string {
  const first = revision && COMMIT.test(revision) ? `Check out ${revision} and publish` : 'Publish'
  return `Release ${release} was retired, and "${key}" has expired since. ${first} it again: pybundle publish-release --environment ${environment}`
}

export const artifactsOf = ({ bundle, code }: ReleaseRecord) => [bundle, code]

const place = ({ key, versionId }: PinnedObject) => `${key}\n${versionId}`

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sha256 } from '../../lib/release/digest.ts'
import { beginMigration, endMigration } from '../../lib/release/migration.ts'
import { type ReleaseRecord, releaseId } from '../../lib/release/release.ts'
import {
  artifactsOf,
  chooseRetired,
  expired,
  neededReleases,
  noteRetirement,
  planRetirement,
  withRetiredTag,
} from '../../lib/release/retention.ts'
import { chooseRollback } from '../../lib/release/rollback.ts'
import {
  EMPTY_STATE,
  endLock,
  failRelease,
  type State,
  serveRelease,
  takeLock,
} from '../../lib/release/state.ts'

const EVERYWHERE = { acrossMigrations: true, environment: 'production' }
const pinned = (key: string, version = 1) => ({
  key,
  versionId: String(version),
  digest: sha256(key),
  size: 1,
})
const recordOf = (bundle: ReturnType<typeof pinned>, code: ReturnType<typeof pinned>): ReleaseRecord => ({
  format: 1,
  release: releaseId({ bundle: bundle.digest, code: code.digest }),
  bundle,
  code,
})
const placeOf = ({ key, versionId }: { key: string; versionId: string }) => `${key} ${versionId}`

/** A bucket and its state, as the functions change them: what is asked, how it ends, what is tagged then. */
class Model {
  state: State = EMPTY_STATE
  readonly keepReleases: number
  readonly records = new Map<string, ReleaseRecord>()
  readonly tagged = new Set<string>()
  readonly waiting = new Set<string>()
  isMortal = true
  /** Since the last rollout that changed what a rollback goes to. */
  isSettled = true
  readonly #versions = new Map<string, number>()

  constructor(keepReleases: number) {
    this.keepReleases = keepReleases
  }

  upload(key: string) {
    this.#versions.set(key, (this.#versions.get(key) ?? 0) + 1)
  }

  newest(key: string) {
    return pinned(key, this.#versions.get(key) ?? 0)
  }

  deploy(bundle: string, code: string) {
    if (this.state.lock) return
    const record = recordOf(this.newest(bundle), this.newest(code))
    this.records.set(record.release, record)
    this.#accept(record, {})
  }

  rollBack() {
    const choice = chooseRollback(this.state, EVERYWHERE)
    const record = 'to' in choice ? this.records.get(choice.to.release) : undefined
    if (record && !this.state.lock) this.#accept(record, { isRollback: true })
  }

  #accept(record: ReleaseRecord, extra: { isRollback?: boolean }) {
    const { release, bundle, code } = record
    this.state = takeLock(
      this.state,
      'r',
      { release, bundle: bundle.digest, code: code.digest },
      { version: '1', ...extra },
    )
    for (const artifact of artifactsOf(record)) this.tagged.delete(placeOf(artifact))
  }

  /** `isCut`: the engine dies after it has tagged, and before the state knows. */
  end(outcome: 'done' | 'failed' | 'rolled-back' | 'stopped', canTag: boolean, isCut = false) {
    const { lock, desired } = this.state
    if (!lock || !desired) return
    this.isSettled = false
    if (outcome === 'done') this.state = serveRelease(this.state, desired)
    else this.state = failRelease(this.state, desired.release, true)
    const retirement = canTag && this.#retire()
    if (retirement && isCut && this.isMortal) this.isSettled = false
    else if (retirement) this.state = noteRetirement(this.state, retirement)
    this.state = endLock(this.state, outcome, true)
  }

  #retire() {
    const plan = planRetirement(this.state, this.keepReleases)
    const read = (ids: readonly string[]) => ids.flatMap((id) => this.records.get(id) ?? [])
    for (const artifact of read(plan.revive).flatMap(artifactsOf)) this.tagged.delete(placeOf(artifact))
    const asked = new Set([...this.waiting].flatMap((text) => text.split(' ')))
    const chosen = chooseRetired({ retire: read(plan.retire), stay: read(plan.stay), asked })
    for (const artifact of chosen.artifacts) this.tagged.add(placeOf(artifact))
    this.isSettled = true
    return { retired: chosen.releases, revived: plan.revive }
  }

  isTagged(release: string | undefined): boolean {
    const record = release && this.records.get(release)
    return record ? artifactsOf(record).some((artifact) => this.tagged.has(placeOf(artifact))) : false
  }
}

type Act = (model: Model) => void
const bundles = fc.integer({ min: 1, max: 3 }).map((name) => `bundles/${name}`)
const codes = fc.integer({ min: 1, max: 12 }).map((name) => `code/${name}`)
const release = fc.tuple(bundles, codes)
const outcomes = fc.constantFrom('done' as const, 'done' as const, 'failed' as const, 'rolled-back' as const)
const oneIn = (count: number) => fc.integer({ min: 0, max: count - 1 }).map((number) => number === 0)
const ends = fc.tuple(
  outcomes,
  oneIn(5).map((cannot) => !cannot),
  oneIn(5),
)
const act = fc.oneof(
  release.map(
    ([bundle, code]): Act =>
      (model) =>
        model.deploy(bundle, code),
  ),
  fc.constant<Act>((model) => model.rollBack()),
  ends.map(
    ([outcome, canTag, isCut]): Act =>
      (model) =>
        model.end(outcome, canTag, isCut),
  ),
  fc.oneof(bundles, codes).map(
    (key): Act =>
      (model) =>
        model.upload(key),
  ),
  release.map(
    ([bundle, code]): Act =>
      (model) =>
        void model.waiting.add(`${bundle} ${code}`),
  ),
  fc.constant<Act>((model) => model.waiting.clear()),
  fc.constant<Act>((model) => {
    const { desired, migration } = model.state
    const open = {
      rollout: 'r',
      release: desired?.release ?? '',
      leader: 'i-1',
      since: '2026-03-01T12:00:00Z',
    }
    if (migration) model.state = endMigration(model.state, undefined)
    else if (desired) model.state = beginMigration(model.state, open)
  }),
)
const rollouts = fc.tuple(release, ends).map(
  ([[bundle, code], [outcome, canTag, isCut]]): Act =>
    (model) => {
      model.deploy(bundle, code)
      model.end(outcome, canTag, isCut)
    },
)
const story = fc.array(fc.oneof(act, rollouts), { minLength: 20, maxLength: 60, size: 'max' })

describe('what is retired', () => {
  it('is nothing that a target may still be told to become, whatever was asked and however it ended', () => {
    let retired = 0
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), story, (keep, sequence) => {
        const model = new Model(keep)
        for (const next of sequence) {
          const before = new Set(model.tagged)
          const waited = [...model.waiting].flatMap((text) => text.split(' '))
          next(model)
          const { current, previous, desired, migration } = model.state
          const back = chooseRollback(model.state, EVERYWHERE)
          const always = [current, desired, migration]
          const settled = model.isSettled ? [previous, 'to' in back ? back.to : null] : []
          for (const named of [...always, ...settled]) expect(model.isTagged(named?.release)).toBe(false)
          const news = [...model.tagged].filter((place) => !before.has(place))
          for (const key of waited) expect(news.map((place) => place.split(' ')[0])).not.toContain(key)
          retired += news.length
        }
      }),
      { numRuns: 500 },
    )
    expect(retired).toBeGreaterThan(1000)
  })

  it('is all else, once a rollout could tag, where no engine died between tagging and writing that down', () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 6 }), story, (keep, sequence) => {
        const model = new Model(keep)
        // A version that its release was moved away from, as its key was written over, belongs to nobody.
        model.upload = () => {}
        model.isMortal = false
        for (const next of sequence) next(model)
        model.waiting.clear()
        for (let rollout = 0; rollout < 20; rollout++) {
          model.deploy('bundles/last', `code/last-${rollout % 2}`)
          model.end('done', true)
        }
        const needed = neededReleases(model.state, keep)
        expect(model.state.kept.filter((release) => !needed.has(release))).toEqual([])
        const staying = new Set(
          [...needed].flatMap((id) => artifactsOf(model.records.get(id) as ReleaseRecord)).map(placeOf),
        )
        for (const record of model.records.values()) {
          for (const place of artifactsOf(record).map(placeOf))
            expect(model.tagged.has(place)).toBe(!staying.has(place))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('shares no version with what stays, though it may share a key', () => {
    const [old, now] = [pinned('bundles/b', 1), pinned('bundles/b', 2)]
    const going = recordOf(old, pinned('code/1'))
    const staying = recordOf(now, pinned('code/2'))
    const { artifacts } = chooseRetired({ retire: [going], stay: [staying], asked: new Set() })
    expect(artifacts).toEqual([old, pinned('code/1')])
    const sharing = recordOf(old, pinned('code/3'))
    const left = chooseRetired({ retire: [going], stay: [staying, sharing], asked: new Set() })
    expect(left.artifacts).toEqual([pinned('code/1')])
  })

  it('is ten releases of one rollout at most', () => {
    const kept = Array.from({ length: 40 }, (_, index) => String(index))
    const { retire, stay } = planRetirement({ ...EMPTY_STATE, kept }, 5)
    expect(retire).toEqual(['39', '38', '37', '36', '35', '34', '33', '32', '31', '30'])
    expect(stay).toHaveLength(30)
  })
})

describe('the tag', () => {
  it('leaves the tags of others as they are, and is written only where it changes something', () => {
    expect(withRetiredTag({ team: 'shop' }, true)).toEqual({ team: 'shop', 'pybundle-retired': 'yes' })
    expect(withRetiredTag({ team: 'shop', 'pybundle-retired': 'yes' }, false)).toEqual({ team: 'shop' })
    expect(withRetiredTag({ team: 'shop', 'pybundle-retired': 'yes' }, true)).toBeUndefined()
    expect(withRetiredTag({ team: 'shop' }, false)).toBeUndefined()
  })
})

it('what has expired is refused with what to do instead', () => {
  const packed = { ...recordOf(pinned('bundles/b'), pinned('code/c')), revision: 'by-hand.tar.gz' }
  expect(expired(packed, packed.code, 'production')).toContain('. Publish it again: pybundle')
  const record = { ...recordOf(pinned('bundles/b'), pinned('code/c')), revision: '0a1b2c3d4e5f' }
  expect(expired(record, record.code, 'production')).toBe(
    `Release ${record.release} was retired, and "code/c" has expired since. Check out 0a1b2c3d4e5f and publish it again: pybundle publish-release --environment production`,
  )
})

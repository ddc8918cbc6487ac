import { basename } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** They take minutes each: begun last, they would leave cores idle in the end. */
const LONGEST = [
  'power-cut',
  'disk-full',
  'targets-end',
  'killed',
  'checkpoints-done',
  'checkpoints-rollback',
]

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const known = LONGEST.indexOf(basename(moduleId).replace(/\..*/, ''))
      return known < 0 ? LONGEST.length : known
    }
    return files.toSorted((a, b) => rank(a) - rank(b))
  }
}

/** Killed, cut off and full at each step there is of each action, of which `npm test` takes a few; and rollouts as large and as long as they may be. */
export default defineConfig({
  test: {
    include: [
      'test/target/{killed,power-cut,disk-full,together}.test.ts',
      'test/rollout/{checkpoints-*,random-walk,large-fleet,operations,throttled}.test.ts',
      'test/e2e/*.proof.ts',
    ],
    env: {
      POWERTOOLS_LOG_LEVEL: 'SILENT',
      PYBUNDLE_KILLS: process.env.PYBUNDLE_KILLS ?? 'all',
      PYBUNDLE_WALKS: process.env.PYBUNDLE_WALKS ?? '10',
      PYBUNDLE_FLEET: process.env.PYBUNDLE_FLEET ?? '2400',
    },
    testTimeout: 7_200_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: 3, // of which one or the other waits for an app to answer
    sequence: { sequencer: LongestFirst },
  },
})
